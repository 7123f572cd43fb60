//! Front functions do what they say: all methods have one hard answer, and each word stands for the operator
//! that it names.

use ndarray::{Array1, ArrayD, ArrayView2, Axis, Ix2, arr0, aview1};
use supple_core::{AnyContract, AnyInputs, Entry, Kind, Mode, Operator, Options, Stream, Value, evaluate};
use supple_ops::{choice, front, order, quantile, select};

/// A softness at which every method blurs.
const SOFTNESS: f64 = 3.0;
const K: usize = 2;
/// Levels, with both ends and whole places among them.
const LEVELS: [f64; 6] = [0.0, 0.07, 0.25, 0.5, 0.83, 1.0];

/// What a front function is asked.
#[derive(Debug, Clone, Copy)]
struct Question<'a> {
    x: &'a [f64],
    k: usize,
    q: f64,
    descending: bool,
}

/// Every front function with every word of its method.
fn methods() -> impl Iterator<Item = (&'static Entry, &'static [&'static str])> {
    front::FAMILY.entries.iter().map(|entry| {
        let field = entry.fields.iter().find(|field| field.name == "method").expect("a method");
        let Kind::Choice(words) = field.kind else { panic!("methods are words") };
        (entry, words)
    })
}

/// What a front function answers; NaN where it has no answer.
fn answer(entry: &Entry, word: &'static str, mode: Mode, question: Question<'_>) -> Vec<f64> {
    let Question { x, k, q, descending } = question;
    let mut operator: Box<dyn AnyContract> = (entry.make)();
    operator.set("method", Value::Choice(word.into())).expect("a method");
    operator.set("softness", Value::Float(SOFTNESS)).expect("a softness");
    let others =
        [("k", Value::Int(k as u64)), ("seed", Value::Int(1)), ("descending", Value::Bool(descending))];
    for (name, value) in others {
        if entry.fields.iter().any(|field| field.name == name) {
            operator.set(name, value).expect("a parameter");
        }
    }
    let mut inputs = vec![aview1(x).into_dyn()];
    let level = arr0(q).into_dyn();
    if entry.name == "quantile" {
        inputs.push(level.view());
    }
    let options = Options { mode, ..Options::default() };
    let (mut y, _) = operator.evaluate(AnyInputs { x: inputs, k: vec![], options }).expect("a right call");
    y.swap_remove(0).into_iter().collect()
}

/// Rows of questions: sizes, ties, levels, both directions.
fn questions(values: &[f64]) -> Vec<Question<'_>> {
    let k = [1, K, values.len()].into_iter().filter(|&k| k <= values.len());
    let of = |k, q, descending| Question { x: values, k, q, descending };
    k.flat_map(|k| LEVELS.map(|q| of(k, q, k == 1))).collect()
}

fn samples() -> Vec<Vec<f64>> {
    let mut random = Stream::new(4, 0, 0);
    let mut samples = vec![vec![0.3], vec![2.0, -1.0], vec![1.0; 5]];
    for n in [3, 5, 8, 11] {
        let x = random.normals(n);
        samples.push(x.iter().map(|x| (1.5 * x).round()).collect());
        samples.push(x);
    }
    samples
}

fn same(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()))
}

fn close(a: &[f64], b: &[f64], tolerance: f64) -> bool {
    let near = |(a, b): (&f64, &f64)| (a - b).abs() <= tolerance * (1.0 + b.abs());
    a.len() == b.len() && a.iter().zip(b).all(near)
}

/// The order of the values; equal ones as they come.
fn order_of(x: &[f64], descending: bool) -> Vec<usize> {
    let mut order: Vec<_> = (0..x.len()).collect();
    order.sort_by(|&i, &j| if descending { x[j].total_cmp(&x[i]) } else { x[i].total_cmp(&x[j]) });
    order
}

fn mask(chosen: &[usize], n: usize) -> Vec<f64> {
    (0..n).map(|i| f64::from(chosen.contains(&i))).collect()
}

fn interpolated(sorted: &[f64], q: f64) -> f64 {
    let place = q * (sorted.len() - 1) as f64;
    let low = place.floor();
    let next = sorted[(low as usize + 1).min(sorted.len() - 1)];
    sorted[low as usize] + (place - low) * (next - sorted[low as usize])
}

/// The discrete function, from an argsort.
fn plain(name: &str, Question { x, k, q, descending }: Question<'_>) -> Vec<f64> {
    let n = x.len();
    let sorted = |descending| -> Vec<f64> { order_of(x, descending).iter().map(|&i| x[i]).collect() };
    match name {
        "sort" => sorted(descending),
        "rank" => {
            let before = |a: f64, b: f64| if descending { a > b } else { a < b };
            let count = |is: &dyn Fn(f64) -> bool| x.iter().filter(|&&x| is(x)).count() as f64;
            x.iter().map(|&x| count(&|y| before(y, x)) + 0.5 * (count(&|y| y == x) + 1.0)).collect()
        }
        "argsort" => order_of(x, descending).iter().flat_map(|&i| mask(&[i], n)).collect(),
        "top_k" => mask(&order_of(x, true)[..k], n),
        "argmax" => mask(&order_of(x, true)[..1], n),
        "max" => vec![sorted(true)[0]],
        "min" => vec![sorted(false)[0]],
        "quantile" => vec![interpolated(&sorted(false), q)],
        "median" => vec![interpolated(&sorted(false), 0.5)],
        _ => panic!("{name}: a front function without a plain answer"),
    }
}

#[test]
fn the_hard_form_is_the_discrete_function_whatever_the_method() {
    for (entry, words) in methods() {
        for &word in words.iter().filter(|&&word| word != "gumbel_softmax") {
            for x in samples() {
                for question in questions(&x) {
                    let (got, expected) =
                        (answer(entry, word, Mode::Hard, question), plain(entry.name, question));
                    assert!(close(&got, &expected, 1e-15), "{} by {word}: {got:?}, {question:?}", entry.name);
                }
            }
        }
    }
}

#[test]
fn hard_forms_agree_to_the_last_digit_with_infinities_too() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let mut all = samples();
    all.extend([vec![1.0, inf, -inf, 0.5], vec![inf, inf, 2.0], vec![-inf, -inf, 3.0], vec![0.0, nan, 1.0]]);
    for (entry, words) in methods() {
        for x in &all {
            for question in questions(x) {
                let first = answer(entry, words[0], Mode::Hard, question);
                for &word in words.iter().filter(|&&word| word != "gumbel_softmax") {
                    let got = answer(entry, word, Mode::Hard, question);
                    assert!(same(&got, &first), "{} by {word}: {got:?} for {first:?}", entry.name);
                }
            }
        }
    }
}

fn call<P: Operator>(operator: P, x: &[f64]) -> ArrayD<f64> {
    let [y] = evaluate(&operator, [aview1(x).into_dyn()]).expect("an answer");
    y
}

fn values<P: Operator>(operator: P, x: &[f64]) -> Vec<f64> {
    call(operator, x).into_iter().collect()
}

fn with<P: Operator<2>>(operator: P, x: &[f64], second: ArrayD<f64>) -> Vec<f64> {
    let [y] = evaluate(&operator, [aview1(x).into_dyn(), second.view()]).expect("an answer");
    y.into_iter().collect()
}

fn level<P: Operator<3>>(operator: P, x: &[f64], q: f64) -> f64 {
    let weights = Array1::<f64>::ones(x.len()).into_dyn();
    let [y] = evaluate(&operator, [aview1(x).into_dyn(), weights.view(), arr0(q).into_dyn().view()])
        .expect("an answer");
    y.sum()
}

fn uniform(x: &[f64]) -> ArrayD<f64> {
    Array1::ones(x.len()).into_dyn()
}

fn sorted(word: &str, x: &[f64], descending: bool) -> Vec<f64> {
    use order::Regularization::*;
    let softness = SOFTNESS;
    let permutahedron = |regularization| values(order::SoftSort { softness, regularization, descending }, x);
    match word {
        "l2" => permutahedron(L2),
        "entropic" => permutahedron(Entropic),
        "p3/2" => permutahedron(ThreeHalves),
        "p4/3" => permutahedron(FourThirds),
        "neural_sort" => values(order::NeuralSort { softness, descending }, x),
        "soft_sort_prillo" => values(order::SoftSortPrillo { softness, descending }, x),
        "sinkhorn" => with(order::SinkhornSort { softness, descending }, x, uniform(x)),
        "sorting_network" => values(order::SortingNetwork { softness, descending, ..Default::default() }, x),
        "lapsum" => values(order::LapsumSort { softness, descending }, x),
        _ => panic!("no operator for {word}"),
    }
}

fn permutation(word: &str, x: &[f64], descending: bool) -> ArrayD<f64> {
    let softness = SOFTNESS;
    match word {
        "neural_sort" => call(order::NeuralSortPermutation { softness, descending, ..Default::default() }, x),
        "soft_sort_prillo" => {
            call(order::SoftSortPrilloPermutation { softness, descending, ..Default::default() }, x)
        }
        "lapsum" => call(order::LapsumPermutation { softness, descending }, x),
        "sinkhorn" => call(order::SinkhornPermutation { softness, descending }, x),
        "sorting_network" => {
            call(order::SortingNetworkPermutation { softness, descending, ..Default::default() }, x)
        }
        _ => panic!("no operator for {word}"),
    }
}

fn ranked(word: &str, x: &[f64], descending: bool) -> Vec<f64> {
    use order::Regularization::*;
    let softness = SOFTNESS;
    let permutahedron = |regularization| values(order::SoftRank { softness, regularization, descending }, x);
    match word {
        "l2" => permutahedron(L2),
        "entropic" => permutahedron(Entropic),
        "p3/2" => permutahedron(ThreeHalves),
        "p4/3" => permutahedron(FourThirds),
        "pairwise" => values(order::PairwiseRank { softness, descending, ..Default::default() }, x),
        "lapsum" => values(order::LapsumRank { softness, descending }, x),
        "sinkhorn" => with(order::SinkhornRank { softness, descending }, x, uniform(x)),
        _ => {
            let matrix = permutation(word, x, descending).into_dimensionality::<Ix2>().expect("a matrix");
            let places = Array1::from_shape_fn(x.len(), |place| place as f64 + 1.0);
            matrix.t().dot(&places).to_vec()
        }
    }
}

fn chosen(word: &str, x: &[f64], k: usize) -> Vec<f64> {
    use select::Regularization::*;
    let softness = SOFTNESS;
    let capped = |regularization| values(select::SoftTopK { k, softness, regularization }, x);
    let sum = |rows: ArrayView2<'_, f64>| rows.sum_axis(Axis(0)).to_vec();
    match word {
        "l2" => capped(L2),
        "entropic" => capped(Entropic),
        "shannon" => capped(Shannon),
        "p3/2" => capped(ThreeHalves),
        "p4/3" => capped(FourThirds),
        "lapsum" => with(select::LapsumTopK { softness }, x, arr0(k as f64).into_dyn()),
        "subset" => values(select::SubsetMarginals { k, softness }, x),
        "successive_softmax" => values(select::SuccessiveSoftmax { k, softness, ..Default::default() }, x),
        "transport" => {
            let rows = call(select::TransportTopK { k, softness }, x);
            sum(rows.view().into_dimensionality().expect("rows"))
        }
        _ => {
            let matrix = permutation(word, x, true).into_dimensionality::<Ix2>().expect("a matrix");
            sum(matrix.slice(ndarray::s![..k, ..]))
        }
    }
}

fn probabilities(word: &str, x: &[f64]) -> Vec<f64> {
    let softness = SOFTNESS;
    match word {
        "softmax" => values(choice::Softmax { softness }, x),
        "sparsemax" => values(choice::Sparsemax { softness }, x),
        "entmax15" => values(choice::Entmax15 { softness }, x),
        "normmax" => values(choice::Normmax { softness, ..Default::default() }, x),
        "gumbel_softmax" => values(choice::GumbelSoftmax { softness, seed: Some(1) }, x),
        _ => panic!("no operator for {word}"),
    }
}

fn largest(word: &str, x: &[f64]) -> f64 {
    let softness = SOFTNESS;
    match word {
        "log_sum_exp" => values(choice::LogSumExp { softness }, x)[0],
        "mellowmax" => values(choice::Mellowmax { softness }, x)[0],
        "boltzmann" => values(choice::BoltzmannMax { softness }, x)[0],
        _ => probabilities(word, x).iter().zip(x).map(|(p, x)| p * x).sum(),
    }
}

fn quantile_of(word: &str, x: &[f64], q: f64) -> f64 {
    use quantile::Distribution::*;
    let (softness, n) = (SOFTNESS, x.len() as f64);
    let place = |place: usize| (place as f64 + 0.5) / n;
    let smoothed = |distribution| -> Vec<f64> {
        let at = |j| level(quantile::SmoothedQuantile { softness, distribution }, x, place(j));
        (0..x.len()).map(at).collect()
    };
    let values = match word {
        "logistic" => smoothed(Logistic),
        "gaussian" => smoothed(Gaussian),
        "laplace" => smoothed(Laplace),
        "transport" => {
            let at = |j| level(quantile::TransportQuantile { softness, width: 0.5 / n }, x, place(j));
            (0..x.len()).map(at).collect()
        }
        _ => sorted(word, x, false),
    };
    interpolated(&values, q)
}

#[test]
fn each_word_stands_for_its_operator() {
    for (entry, words) in methods() {
        for &word in words {
            let mut answers = vec![];
            for x in samples() {
                for question in questions(&x) {
                    let Question { x, k, q, descending } = question;
                    let got = answer(entry, word, Mode::Soft, question);
                    let expected = match entry.name {
                        "sort" => sorted(word, x, descending),
                        "rank" => ranked(word, x, descending),
                        "argsort" => permutation(word, x, descending).into_iter().collect(),
                        "top_k" => chosen(word, x, k),
                        "argmax" => probabilities(word, x),
                        "max" => vec![largest(word, x)],
                        "min" => vec![-largest(word, &x.iter().map(|x| -x).collect::<Vec<_>>())],
                        "quantile" => vec![quantile_of(word, x, q)],
                        "median" => vec![quantile_of(word, x, 0.5)],
                        name => panic!("{name}: a front function that is not compared"),
                    };
                    assert!(
                        close(&got, &expected, 1e-12),
                        "{} by {word}: {got:?} for {expected:?}, {question:?}",
                        entry.name
                    );
                    answers.extend(got);
                }
            }
            // It is soft, or two wrong words could agree.
            let hard: Vec<_> = samples()
                .iter()
                .flat_map(|x| questions(x).into_iter().flat_map(|q| plain(entry.name, q)).collect::<Vec<_>>())
                .collect();
            assert!(!close(&answers, &hard, 1e-6), "{} by {word} is hard at {SOFTNESS}", entry.name);
        }
    }
}

#[test]
fn no_two_words_are_one_method_but_for_laplace_quantiles() {
    let x = [0.3, -1.2, 0.9, 0.45, 2.0, -0.1];
    let question = Question { x: &x, k: K, q: 0.37, descending: false };
    for (entry, words) in methods() {
        let answers: Vec<_> = words.iter().map(|word| answer(entry, word, Mode::Soft, question)).collect();
        for (i, a) in answers.iter().enumerate() {
            for (j, b) in answers.iter().enumerate().skip(i + 1) {
                // Quantiles of a Laplace mixture, sorted for all places or solved for two.
                let alike = [words[i], words[j]] == ["lapsum", "laplace"];
                assert_eq!(close(a, b, 1e-9), alike, "{}: {} and {}", entry.name, words[i], words[j]);
            }
        }
    }
}
