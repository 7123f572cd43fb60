//! An assignment of four rows to four columns.

use super::posed::Posed;
use super::quadratic::quadratic;
use crate::reference::Solutions;
use supple_ops::perturb::oracles::Assignment;

/// The problem.
pub fn matching() -> Posed {
    let target = [
        1.0, 0.0, 0.0, 0.0, //
        0.0, 0.0, 1.0, 0.0, //
        0.0, 1.0, 0.0, 0.0, //
        0.0, 0.0, 0.0, 1.0, //
    ];
    let weights = [
        0.5, -0.3, 0.8, 0.0, //
        1.0, 0.2, -0.6, 0.4, //
        -0.7, 0.9, 0.1, 0.3, //
        0.6, -0.2, 0.5, -1.0, //
    ];
    let theta = [
        0.2, 0.9, 0.1, 0.4, //
        0.8, 0.3, 0.5, 0.0, //
        0.1, 0.6, 0.7, 0.2, //
        0.5, 0.0, 0.3, 0.6, //
    ];
    let cost = quadratic(&target, &weights, 0.4);
    // One in each row and in each column.
    let lines = (0..4).flat_map(|i| [0b1111 << (4 * i), 0b0001_0001_0001_0001 << i]);
    let lines: Vec<u32> = lines.collect();
    let once = |set: u32| lines.iter().all(|line| (set & line).count_ones() == 1);
    let reference = (Solutions::sets(16, once), 1 << 16);
    let text = ["matching", "an assignment of four to four"];
    Posed::solved(text, &theta, 0.4, cost, Assignment { rows: 4, columns: 4 }, reference)
}
