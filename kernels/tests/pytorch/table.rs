//! The table of facts: cases, their fields, and the comparison with one.

use core::cell::RefCell;
use core::fmt::Debug;
use core::str::FromStr;
use std::collections::{BTreeMap, BTreeSet};

use slicewise_kernels::{Element, Level};

/// What PyTorch made of some inputs.
pub(crate) struct Case {
    kind: &'static str,
    name: &'static str,
    fields: BTreeMap<&'static str, Vec<&'static str>>,
    /// The fields that were asked for since [`Case::expect_all_read`].
    read: RefCell<BTreeSet<&'static str>>,
    /// What did not hold.
    failures: RefCell<Vec<String>>,
}

/// The cases of a table in their order.
pub(crate) fn read(text: &'static str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_ascii_whitespace();
        let field = words.next().expect("a line has a first word");
        let words: Vec<&str> = words.collect();
        assert!(!words.is_empty(), "{field} has no values");
        if let ("case", [kind, name]) = (field, &*words) {
            cases.push(Case {
                kind,
                name,
                fields: BTreeMap::new(),
                read: RefCell::default(),
                failures: RefCell::default(),
            });
        } else {
            let case = cases.last_mut().expect("a case comes first");
            let twice = case.fields.insert(field, words);
            assert!(twice.is_none(), "{} {} has {field} twice", case.kind, case.name);
        }
    }
    cases
}

impl Case {
    /// Its kind and its name.
    pub(crate) fn key(&self) -> (&'static str, &'static str) {
        (self.kind, self.name)
    }

    /// The values of a field.
    pub(crate) fn values<T: FromStr<Err: Debug>>(&self, field: &str) -> Vec<T> {
        let (name, words) = self
            .fields
            .get_key_value(field)
            .unwrap_or_else(|| panic!("{} {} has no {field}", self.kind, self.name));
        self.read.borrow_mut().insert(name);
        words
            .iter()
            .map(|word| word.parse().unwrap_or_else(|error| panic!("{field}: {word}: {error:?}")))
            .collect()
    }

    /// The one value of a field.
    pub(crate) fn value<T: FromStr<Err: Debug> + Copy>(&self, field: &str) -> T {
        match *self.values(field) {
            [value] => value,
            _ => panic!("{} {} has not one {field}", self.kind, self.name),
        }
    }

    /// Inputs: `f32`, whatever type is tested.
    pub(crate) fn inputs<T: Element>(&self, field: &str) -> Vec<T> {
        self.values::<f32>(field).into_iter().map(|x| T::from_f64(x.into())).collect()
    }

    /// Notes a failure unless `actual` is what PyTorch has as `field`, element `i` to `bound(i, fact)`. NaN, infinities and what
    /// overflows a `T` must be the same.
    pub(crate) fn holds<T: Element>(
        &self,
        level: Level,
        field: &str,
        actual: &[T],
        bound: impl Fn(usize, f64) -> f64,
    ) {
        let facts = self.values::<f64>(field);
        let place =
            format!("{} {}: {field} of {} at {}", self.kind, self.name, type_name::<T>(), level.name());
        assert_eq!(actual.len(), facts.len(), "{place}");
        let mut worst = (0.0f64, String::new());
        for (i, (actual, fact)) in actual.iter().zip(facts).enumerate() {
            let y = actual.to_f64();
            if (y.is_nan() && fact.is_nan()) || y == T::from_f64(fact).to_f64() {
                continue;
            }
            // A fact has errors of its own in float64: a function's last digits, and what a sum of as many terms rounds.
            let own = if is_single::<T>() { 0.0 } else { bound(i, fact) + 4.0 * ulp::<f64>(fact) };
            let bound = bound(i, fact) + own;
            let used = if fact.is_finite() { (y - fact).abs() / bound } else { f64::INFINITY };
            if used.is_nan() || used > worst.0 {
                worst = (used, format!("element {i} is {actual:?}, not {fact:e} to {bound:e}"));
            }
        }
        let (used, what) = worst;
        println!("{place}: {:.0} % of the bound", 100.0 * used);
        if used.is_nan() || used > 1.0 {
            self.failures.borrow_mut().push(format!("{place}: {what}"));
        }
    }

    /// What did not hold since the last call.
    pub(crate) fn failures(&self) -> Vec<String> {
        self.failures.take()
    }

    /// Asserts that no field was passed over.
    pub(crate) fn expect_all_read(&self) {
        let read = self.read.take();
        let dead: Vec<_> = self.fields.keys().filter(|field| !read.contains(*field)).collect();
        assert!(dead.is_empty(), "{} {}: no test reads {dead:?}", self.kind, self.name);
    }
}

/// The unit of the last place of `x` as a `T`: at least the spacing of subnormals.
pub(crate) fn ulp<T: Element>(x: f64) -> f64 {
    let power_of_two = f64::from_bits(x.to_bits() & f64::INFINITY.to_bits());
    (power_of_two * epsilon::<T>()).max(smallest::<T>())
}

/// The smallest subnormal.
fn smallest<T: Element>() -> f64 {
    if is_single::<T>() { f32::from_bits(1).into() } else { f64::from_bits(1) }
}

/// The spacing at 1.
pub(crate) fn epsilon<T: Element>() -> f64 {
    T::EPSILON.to_f64()
}

/// Whether `T` is `f32`.
pub(crate) fn is_single<T: Element>() -> bool {
    size_of::<T>() == size_of::<f32>()
}

fn type_name<T: Element>() -> &'static str {
    if is_single::<T>() { "f32" } else { "f64" }
}

/// Room for `n` results, with NaN in it.
pub(crate) fn room<T: Element>(n: usize) -> Vec<T> {
    vec![T::from_f64(f64::NAN); n]
}
