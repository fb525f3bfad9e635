//! A text as a QR code, as a PNG of one bit a pixel.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use qrcodegen::{QrCode, QrCodeEcc};

use crate::logical::Fault;

/// A square image of `pixels` a side: the code as large as whole pixels let it be, in the middle.
///
/// # Errors
/// The text is too long for any code, or the image too small for this one.
pub(super) fn png(text: &str, pixels: usize) -> Result<Vec<u8>, Fault> {
    let failed = |why: &str| Fault::Internal(format!("failed to generate QR code image: {why}"));
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).map_err(|_| failed("the text is too long"))?;
    let modules = usize::try_from(code.size()).map_err(|_| failed("the code has no size"))?;
    let scale = pixels / modules;
    if scale == 0 {
        return Err(failed(&format!("can not scale barcode to an image smaller than {modules}x{modules}")));
    }
    let margin = (pixels - scale * modules) / 2;
    let is_dark = |x: usize, y: usize| {
        let module = |at: usize| i32::try_from(at.checked_sub(margin)? / scale).ok();
        // Outside of the code everything is light.
        matches!((module(x), module(y)), (Some(x), Some(y)) if code.get_module(x, y))
    };
    encode(pixels, is_dark).ok_or_else(|| failed("the image is too large"))
}

fn encode(pixels: usize, is_dark: impl Fn(usize, usize) -> bool) -> Option<Vec<u8>> {
    const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
    /// One bit a pixel, greyscale; deflate, the usual filters, not interlaced.
    const KIND: [u8; 5] = [1, 0, 0, 0, 0];
    let side = u32::try_from(pixels).ok()?.to_be_bytes();
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
    for y in 0..pixels {
        zlib.write_all(&line(pixels, |x| is_dark(x, y))).ok()?;
    }
    let header = [&side[..], &side, &KIND].concat();
    let chunks = [chunk(b"IHDR", &header)?, chunk(b"IDAT", &zlib.finish().ok()?)?, chunk(b"IEND", &[])?];
    Some([SIGNATURE, &chunks.concat()].concat())
}

/// The filter (none) and the pixels of a line; a light one is a 1.
fn line(pixels: usize, is_dark: impl Fn(usize) -> bool) -> Vec<u8> {
    let mut bytes = vec![0; 1 + pixels.div_ceil(8)];
    for x in (0..pixels).filter(|x| !is_dark(*x)) {
        bytes[1 + x / 8] |= 0x80 >> (x % 8);
    }
    bytes
}

fn chunk(kind: &[u8; 4], content: &[u8]) -> Option<Vec<u8>> {
    let summed = [&kind[..], content].concat();
    let length = u32::try_from(content.len()).ok()?.to_be_bytes();
    Some([&length[..], &summed, &crc32fast::hash(&summed).to_be_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    /// Opens the image again, by the format's own rules.
    fn pixels_of(png: &[u8]) -> (usize, Vec<Vec<bool>>) {
        let side = usize::try_from(u32::from_be_bytes(png[16..20].try_into().unwrap())).unwrap();
        let length = usize::try_from(u32::from_be_bytes(png[33..37].try_into().unwrap())).unwrap();
        assert_eq!(
            (&png[12..16], &png[37..41], &png[png.len() - 8..png.len() - 4]),
            (&b"IHDR"[..], &b"IDAT"[..], &b"IEND"[..])
        );
        let mut lines = Vec::new();
        flate2::read::ZlibDecoder::new(&png[41..41 + length]).read_to_end(&mut lines).unwrap();
        let line = 1 + side.div_ceil(8);
        assert_eq!(lines.len(), line * side);
        let dark = |line: &[u8]| (0..side).map(|x| line[1 + x / 8] & 0x80 >> (x % 8) == 0).collect();
        (side, lines.chunks(line).map(dark).collect())
    }

    #[test]
    fn the_code_is_in_the_middle_of_the_image() {
        let text = "otpauth://totp/a:b?secret=AAAA";
        let code = QrCode::encode_text(text, QrCodeEcc::Medium).unwrap();
        let modules = usize::try_from(code.size()).unwrap();
        let (side, dark) = pixels_of(&png(text, 200).unwrap());
        let scale = 200 / modules;
        let margin = (200 - scale * modules) / 2;
        assert_eq!(side, 200);
        for (y, line) in dark.iter().enumerate() {
            for (x, dark) in line.iter().enumerate() {
                let at =
                    |at: usize| at.checked_sub(margin).map_or(-1, |at| i32::try_from(at / scale).unwrap());
                assert_eq!(*dark, code.get_module(at(x), at(y)), "{x} {y}");
            }
        }
    }

    #[test]
    fn an_image_too_small_is_refused() {
        let refused = png("otpauth://totp/a:b?secret=AAAA", 10).unwrap_err().to_string();
        assert!(refused.contains("can not scale barcode to an image smaller than"), "{refused}");
        assert!(png(&"x".repeat(3000), 200).is_err());
    }
}
