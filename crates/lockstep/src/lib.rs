//! Who plays, who stands by, who is to blame.
