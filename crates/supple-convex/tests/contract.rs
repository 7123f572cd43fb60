//! Every check of every operator, each as a test of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    supple_check::main(&[&supple_convex::FAMILY])
}
