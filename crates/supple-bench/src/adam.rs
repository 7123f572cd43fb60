//! Adam with $\beta = 0.9, 0.999$.

/// Its state.
pub(crate) struct Adam {
    rate: f64,
    step: i32,
    first: Vec<f64>,
    second: Vec<f64>,
}

impl Adam {
    /// For so many parameters.
    pub(crate) fn new(rate: f64, count: usize) -> Self {
        Self { rate, step: 0, first: vec![0.0; count], second: vec![0.0; count] }
    }

    /// One step down.
    pub(crate) fn descend(&mut self, x: &mut [f64], gradient: &[f64]) {
        self.step += 1;
        let [slow, fast] = [0.9, 0.999].map(|beta: f64| 1.0 - beta.powi(self.step));
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((x, g), (first, second)) in x.iter_mut().zip(gradient).zip(moments) {
            *first += 0.1 * (g - *first);
            *second += 0.001 * (g * g - *second);
            *x -= self.rate * (*first / slow) / ((*second / fast).sqrt() + 1e-8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_down_at_its_rate_and_arrives() {
        let (mut x, mut adam) = ([3.0, -2.0], Adam::new(0.1, 2));
        let slope = |x: &[f64; 2]| [2.0 * x[0], 8.0 * x[1]];
        let gradient = slope(&x);
        adam.descend(&mut x, &gradient);
        assert!((x[0] - 2.9).abs() < 1e-6 && (x[1] + 1.9).abs() < 1e-6);
        for _ in 0..500 {
            let gradient = slope(&x);
            adam.descend(&mut x, &gradient);
        }
        assert!(x.iter().all(|x| x.abs() < 1e-3), "{x:?}");
    }
}
