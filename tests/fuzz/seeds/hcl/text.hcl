a = "${x("y")} \u00e9 \101 \x41" // c
b = <<-EOF
  hi
  EOF
/* c */ c = [{ d { e "f" {} } }, [1]]
