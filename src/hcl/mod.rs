//! HCL 1 and its JSON form, as Vault reads its configuration and its policies: text in, positioned values or an error out.
