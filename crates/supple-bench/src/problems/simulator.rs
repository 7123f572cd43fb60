//! A simulator that jumps: a ball is thrown at a wall.
//!
//! Parameters are the speed $v$ (in 10 m/s) and the angle $a$ (in radians). The wall is 5 m away and 2.5 m
//! high. A ball that passes above it lands at $r = v^2 \sin(2 a) / g$; one that hits it bounces back with
//! half of its speed across, and lands at $5 + \tfrac12 (5 - r)$. The cost is the square of the distance
//! from a target 8 m away, in 10 m: it has gradients, and jumps where the ball just passes.
//!
//! Suh, Simchowitz, Zhang and Tedrake, *Do differentiable simulators give better policy gradients?*, ICML
//! 2022, have such a ball. The reference is a double integral by the midpoint rule.

use super::posed::{Posed, cost};
use crate::problem::Target;
use crate::reference::plane;
use supple_estimators::smoothing::Noise;

const GRAVITY: f64 = 9.81;
const WALL: f64 = 5.0;
const HEIGHT: f64 = 2.5;
const BOUNCE: f64 = 0.5;
const AIM: f64 = 8.0;

/// Where the ball lands, and the slopes of that in speed and angle.
fn land(speed: f64, angle: f64) -> (f64, [f64; 2]) {
    let v = 10.0 * speed;
    let (across, up) = (v * angle.cos(), v * angle.sin());
    if up <= 0.0 {
        return (0.0, [0.0; 2]); // into the ground
    }
    let (sin, cos) = (2.0 * angle).sin_cos();
    let range = v * v * sin / GRAVITY;
    let slopes = [20.0 * v * sin / GRAVITY, 2.0 * v * v * cos / GRAVITY];
    let time = WALL / across;
    let hits = range > WALL && up * time - 0.5 * GRAVITY * time * time < HEIGHT;
    match hits {
        true => (WALL + BOUNCE * (WALL - range), slopes.map(|slope| -BOUNCE * slope)),
        false => (range, slopes),
    }
}

/// The throw.
pub fn throw() -> Posed {
    let miss = |x: &[f64]| {
        let (place, slopes) = land(x[0], x[1]);
        (0.1 * (place - AIM), slopes)
    };
    let cost = cost(
        move |x| miss(x).0.powi(2),
        move |x, dx| {
            let (miss, slopes) = miss(x);
            dx.iter_mut().zip(slopes).for_each(|(dx, slope)| *dx = 0.2 * miss * slope);
        },
    );
    let (softness, noise) = (0.1, Noise::Gaussian);
    let target = Target::Perturbed { cost: cost.clone(), softness, noise };
    let text = ["simulator", "a ball thrown over a wall, or against it; by speed and angle"];
    Posed::new(text, &[0.95, 0.75], target, move |x| plane(&cost, x, softness, noise, 8.0, 1500))
}
