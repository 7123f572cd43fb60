//! Library functions: soft ranks of slices and arrays, other axes, hard forms, and gradients.

use ndarray::{Array2, array};
use supple::order::{Regularization, SoftRank, soft_rank, soft_sort};
use supple::{Error, Inputs, Mode, evaluate, linearize};

fn main() -> Result<(), Error> {
    println!("A slice. The softness is the distance below which values share their ranks.");
    let x = [2.9, 0.1, 1.2];
    for softness in [0.1, 2.0, 10.0] {
        println!("  soft_rank({x:?}, {softness}) = {:.2}", soft_rank(&x, softness)?);
    }
    println!("  The softness of soft_sort is one over a distance: what is further apart is pulled together.");
    for softness in [0.1, 1.0, 10.0] {
        println!("  soft_sort({x:?}, {softness}) = {:.2}", soft_sort(&x, softness)?);
    }

    println!("\nAn array: leading axes are batch.");
    let scores: Array2<f32> = array![[2.9, 0.1, 1.2], [0.3, 0.2, 0.1]];
    println!("{:.2}", soft_rank(&scores, 2.0)?);

    println!("\nAnother axis and all parameters: the operator itself, which `evaluate` calls.");
    let operator = SoftRank { softness: 2.0, regularization: Regularization::Entropic, descending: true };
    let scores = scores.into_dyn();
    let [ranks] = evaluate(&operator, Inputs::from([scores.view()]).axis(0))?;
    println!("{ranks:.2}");

    println!("\nA gradient: how does the rank of the first value depend on each value?");
    let x = array![2.9, 0.1, 1.2].into_dyn();
    let first = array![1.0, 0.0, 0.0].into_dyn();
    let operator = SoftRank { softness: 2.0, ..SoftRank::default() };
    let ranks = linearize(&operator, [x.view()])?;
    let [gradient] = ranks.vjp([first.view()])?;
    println!("  ranks {:.2}, gradient of the first {gradient:.2}", ranks.outputs()[0]);

    println!("\nStraight-through: hard values, and the gradient of the soft ones.");
    let through = linearize(&operator, Inputs::from([x.view()]).mode(Mode::StraightThrough))?;
    let [gradient] = through.vjp([first.view()])?;
    println!("  ranks {:.2}, gradient of the first {gradient:.2}", through.outputs()[0]);

    println!("\nSecond derivatives: how does the gradient change as the first value grows?");
    let entropic = SoftRank { softness: 5.0, regularization: Regularization::Entropic, ..operator };
    let direction = array![1.0, 0.0, 0.0].into_dyn();
    let (_, [change]) =
        linearize(&entropic, [x.view()])?.vjp_derivative([first.view()], [direction.view()])?;
    println!("  {change:.4}");

    println!("\nMistakes are named.");
    if let Err(error) = soft_rank(&[1.0, 2.0], -1.0) {
        println!("  {error}");
    }
    Ok(())
}
