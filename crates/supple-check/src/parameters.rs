//! Are wrong calls refused in words?

use crate::problem::Problem;
use crate::runner::text;
use crate::{Case, Outcome};
use ndarray::{ArrayD, IxDyn};
use supple_core::{AnyInputs, Domain, Field, Stream, Value};

/// Every parameter outside its domain is refused by name, and a value of the wrong type is not taken.
pub(crate) fn domains(case: &Case) -> Outcome {
    let sizes = case.operator.test_sizes().pop().unwrap_or_default();
    let problem = Problem::<f64>::sample(&*case.operator, &sizes, &[], &mut Stream::new(31, 0, 0))?;
    for field in case.fields {
        for bad in outside(field) {
            let mut operator = case.operator.boxed();
            operator.set(field.name, bad.clone()).map_err(text)?;
            match supple_core::Float::calls(&*operator).evaluate(problem.inputs() as AnyInputs<'_, f64>) {
                Err(error) if error.to_string().contains(&format!("`{}`", field.name)) => {}
                Err(error) => return Err(format!("{} = {bad}: the error is {error}", field.name)),
                Ok(_) => return Err(format!("{} = {bad} was taken", field.name)),
            }
        }
        let wrong = Value::Choice("no such thing".into());
        if case.operator.boxed().set(field.name, wrong).is_ok() {
            return Err(format!("{} took a value of the wrong type", field.name));
        }
    }
    Ok(())
}

fn outside(field: &Field) -> Vec<Value> {
    let float = matches!((field.default)(), Value::Float(_));
    let values: &[f64] = match field.domain {
        Domain::Any if float => &[f64::NAN],
        Domain::Any => &[],
        Domain::Positive => &[0.0, -1.0, f64::NAN, f64::INFINITY],
        Domain::AtLeast(low) => &[low - 1.0, f64::NAN],
        Domain::Between(low, high) => &[low, high, f64::NAN],
    };
    let whole = |x: f64| (x >= 0.0).then_some(Value::Int(x as u64));
    values.iter().filter_map(|&x| if float { Some(Value::Float(x)) } else { whole(x) }).collect()
}

/// An array with too few axes is refused by name.
pub(crate) fn shapes(case: &Case) -> Outcome {
    let sizes = case.operator.test_sizes().pop().unwrap_or_default();
    let problem = Problem::<f64>::sample(&*case.operator, &sizes, &[], &mut Stream::new(32, 0, 0))?;
    for (i, argument) in problem.signature.inputs.iter().enumerate() {
        if argument.core.is_empty() || problem.signature.elementwise {
            continue;
        }
        let mut wrong = problem.clone();
        wrong.x[i] = ArrayD::zeros(IxDyn(&[]));
        match supple_core::Float::calls(&*case.operator).evaluate(wrong.inputs()) {
            Err(error) if error.to_string().contains(&format!("`{}`", argument.name)) => {}
            Err(error) => return Err(format!("the error is {error}")),
            Ok(_) => return Err(format!("a number was taken for `{}`", argument.name)),
        }
    }
    Ok(())
}
