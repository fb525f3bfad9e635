//! Aligned columns: four spaces between them, `n/a` for an empty cell, dashes under the headers.

/// Between two columns.
const GLUE: &str = "    ";

/// Rows with a header row first and a line of dashes after it; empty without rows.
#[must_use]
pub fn with_header(rows: &[Vec<String>]) -> String {
    let Some((header, rest)) = rows.split_first() else { return String::new() };
    let dashes = header.iter().map(|cell| "-".repeat(cell.len())).collect();
    let mut all = vec![header.clone(), dashes];
    all.extend(rest.iter().cloned());
    columns(&all)
}

/// Rows in columns; no line end after the last.
#[must_use]
pub fn columns(rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| filled(cell)).collect()).collect();
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|c| c.chars().count()).max();
    let widths: Vec<usize> = (0..count).map(|at| width(at).unwrap_or_default()).collect();
    rows.iter().map(|row| line(row, &widths)).collect::<Vec<_>>().join("\n")
}

fn filled(cell: &str) -> String {
    let cell = cell.trim();
    if cell.is_empty() { "n/a".to_owned() } else { cell.to_owned() }
}

fn line(row: &[String], widths: &[usize]) -> String {
    let last = row.len().saturating_sub(1);
    let cells = row.iter().zip(widths).enumerate().map(|(at, (cell, width))| {
        if at == last { cell.clone() } else { format!("{cell}{}", " ".repeat(width - cell.chars().count())) }
    });
    cells.collect::<Vec<_>>().join(GLUE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["Key", "Value"], ["lease", ""], ["x", "1 2"]];
        let rows: Vec<Vec<String>> = rows.iter().map(|r| r.iter().map(|&c| c.to_owned()).collect()).collect();
        assert_eq!(with_header(&rows), "Key      Value\n---      -----\nlease    n/a\nx        1 2");
        assert_eq!(with_header(&[]), "");
    }
}
