//! Sandboxes seen from inside: each test runs a program in a real sandbox and compares
//! what it can do with what it could do outside. Needs root and /usr/bin/python3.

mod life;
mod limits;
mod scratch;
mod stage;
mod walls;
