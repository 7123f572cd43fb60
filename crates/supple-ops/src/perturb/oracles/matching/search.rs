//! The search for a matching: trees of alternating edges that grow from all free nodes at once.

use super::{Matching, NONE};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Label {
    /// In no tree.
    Free,
    /// At an even distance from the root of its tree, and matched to its parent.
    Even,
    /// At an odd distance.
    Odd,
}

/// What happens next, at a time: the half-edge, or the blossom.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// An edge from an even blossom to a free one becomes tight.
    Grow(usize),
    /// An edge between two even blossoms becomes tight.
    Meet(usize),
    /// The dual variable of an odd blossom becomes 0.
    Expand(usize),
}

/// Nodes are `0..nodes`, blossoms have numbers from there on. Only outermost blossoms, or nodes outside all, have
/// labels. While time passes, dual variables of even nodes fall and of odd ones rise by 1, those of even blossoms
/// rise and of odd ones fall by 2: `dual` holds what they would be at time 0.
pub(super) struct Search<'a> {
    graph: &'a Matching,
    /// Twice the weights of the edges; `None` where closed.
    pub weight: Vec<Option<i64>>,
    /// The half-edge from each node to its partner.
    pub mate: Vec<usize>,
    /// The outermost blossom around each node, or the node.
    top: Vec<usize>,
    /// To each node the edge from an even blossom with the least slack.
    best: Vec<usize>,
    pub dual: Vec<i64>,
    label: Vec<Label>,
    /// The half-edge through which a blossom was reached.
    via: Vec<usize>,
    /// The root of its tree.
    root: Vec<usize>,
    /// The node through which a blossom is matched to the outside, or which is free.
    base: Vec<usize>,
    pub parent: Vec<usize>,
    /// The parts of a blossom around its cycle, the one with the base first, and the half-edge from each to the
    /// next.
    parts: Vec<Vec<usize>>,
    links: Vec<Vec<usize>>,
    /// Numbers without a blossom.
    pub spare: Vec<usize>,
    events: BinaryHeap<Reverse<(i64, Event)>>,
    /// Even nodes whose edges have not been looked at.
    queue: Vec<usize>,
    marks: Vec<usize>,
    last_mark: usize,
    clock: i64,
    /// The time at which the dual variables of free nodes become 0.
    end: i64,
    /// The time after which nothing matters: two trees will have met.
    horizon: i64,
}

impl<'a> Search<'a> {
    pub fn new(graph: &'a Matching) -> Self {
        let (n, all) = (graph.nodes, graph.nodes + graph.nodes / 2);
        Self {
            graph,
            weight: vec![],
            mate: vec![NONE; n],
            top: vec![0; n],
            best: vec![NONE; n],
            dual: vec![0; all],
            label: vec![Label::Free; all],
            via: vec![NONE; all],
            root: vec![NONE; all],
            base: (0..all).collect(),
            parent: vec![NONE; all],
            parts: vec![vec![]; all],
            links: vec![vec![]; all],
            spare: vec![],
            events: BinaryHeap::new(),
            queue: vec![],
            marks: vec![0; all],
            last_mark: 0,
            clock: 0,
            end: 0,
            horizon: 0,
        }
    }

    /// Rounds the weights to whole numbers, so that no sum of dual variables leaves 64 bits: without `perfect`
    /// they stay below a few times the largest weight, with it below V times that.
    fn weigh(&mut self, theta: &[f64]) {
        let Matching { nodes, perfect, .. } = *self.graph;
        let usable = |theta: f64| if perfect { theta > f64::NEG_INFINITY } else { theta > 0.0 };
        let largest = theta.iter().filter(|t| t.is_finite() && usable(**t)).fold(0.0, |a, t| t.abs().max(a));
        let factors = perfect as u32 + theta.contains(&f64::INFINITY) as u32;
        let bits = (58 - factors as i32 * (nodes + 2).ilog2() as i32 - factors as i32).min(52);
        let shift = bits - libm::frexp(largest).1;
        let whole = |theta: f64| match theta {
            f64::INFINITY => (nodes as i64 + 1) << bits,
            _ if perfect => libm::ldexp(theta, shift).round() as i64,
            _ => (libm::ldexp(theta, shift).round() as i64).max(1),
        };
        self.weight.clear();
        self.weight.extend(theta.iter().map(|&theta| usable(theta).then(|| 2 * whole(theta))));
    }

    pub fn run(&mut self, theta: &[f64]) {
        self.weigh(theta);
        let n = self.graph.nodes;
        let start = self.weight.iter().flatten().max().map_or(0, |w| w / 2);
        self.end = if self.graph.perfect { i64::MAX } else { start };
        self.clock = 0;
        self.mate.fill(NONE);
        self.top.iter_mut().enumerate().for_each(|(v, top)| *top = v);
        self.dual[..n].fill(start);
        self.base[..n].iter_mut().enumerate().for_each(|(v, base)| *base = v);
        self.parent.fill(NONE);
        self.spare.clear();
        self.spare.extend((n..self.parent.len()).rev());
        while self.augments() {}
    }

    /// Grows trees from all free nodes until two of them meet, and matches two nodes more. False if they never
    /// meet, or not in time.
    fn augments(&mut self) -> bool {
        self.events.clear();
        self.queue.clear();
        self.best.fill(NONE);
        self.horizon = self.end - 1;
        for v in 0..self.graph.nodes {
            if self.mate[v] == NONE {
                self.make_even(self.top[v], NONE);
            }
        }
        let augmented = loop {
            while let Some(v) = self.queue.pop() {
                self.scan(v);
            }
            let Some(Reverse((time, event))) = self.events.pop() else {
                // Without `perfect` the dual variables of free nodes still fall to 0.
                self.clock = if self.graph.perfect { self.clock } else { self.end };
                break false;
            };
            self.clock = time;
            match event {
                Event::Grow(h) => {
                    // An event is out of date if the node was in an odd blossom in the meantime.
                    let b = self.top[self.to(h)];
                    if self.label[b] == Label::Free && self.slack(h) == Some(0) {
                        self.grow(b, h);
                    }
                }
                Event::Meet(h) => {
                    let [x, y] = [h ^ 1, h].map(|h| self.top[self.to(h)]);
                    if x == y {
                        continue;
                    }
                    let Some(ancestor) = self.common(x, y) else {
                        self.augment(h);
                        break true;
                    };
                    self.shrink(h, ancestor);
                }
                Event::Expand(b) if self.label[b] == Label::Odd => self.expand(b),
                Event::Expand(_) => {}
            }
        };
        // Time goes on from here; the trees go.
        for v in 0..self.graph.nodes {
            self.dual[v] += self.drift(self.top[v]);
        }
        for b in self.graph.nodes..self.dual.len() {
            self.dual[b] -= 2 * self.drift(b);
        }
        self.label.fill(Label::Free);
        augmented
    }

    fn to(&self, h: usize) -> usize {
        self.graph.ends[h]
    }

    /// How far the nodes in this outermost blossom are from their dual variables at time 0.
    fn drift(&self, b: usize) -> i64 {
        match self.label[b] {
            Label::Free => 0,
            Label::Even => -self.clock,
            Label::Odd => self.clock,
        }
    }

    fn slack(&self, h: usize) -> Option<i64> {
        let now = |v: usize| self.dual[v] + self.drift(self.top[v]);
        Some(now(self.to(h)) + now(self.to(h ^ 1)) - self.weight[h / 2]?)
    }

    fn push(&mut self, time: i64, event: Event) {
        if time <= self.horizon {
            self.events.push(Reverse((time, event)));
        }
    }

    /// The nodes in a blossom.
    pub fn inside(&self, b: usize) -> Vec<usize> {
        let (mut nodes, mut i) = (vec![b], 0);
        while i < nodes.len() {
            match nodes[i] < self.graph.nodes {
                true => i += 1,
                false => {
                    let blossom = nodes.swap_remove(i);
                    nodes.extend(&self.parts[blossom]);
                }
            }
        }
        nodes
    }

    fn is_blossom(&self, b: usize) -> bool {
        b >= self.graph.nodes
    }

    fn reach(&mut self, b: usize, label: Label, via: usize) {
        (self.label[b], self.via[b]) = (label, via);
        self.root[b] = if via == NONE { b } else { self.root[self.top[self.to(via ^ 1)]] };
    }

    /// Makes a free blossom even.
    fn make_even(&mut self, b: usize, via: usize) {
        self.reach(b, Label::Even, via);
        if self.is_blossom(b) {
            self.dual[b] -= 2 * self.clock;
        }
        for v in self.inside(b) {
            self.dual[v] += self.clock;
            self.queue.push(v);
        }
    }

    /// Makes a free blossom odd, and what it is matched to even.
    fn grow(&mut self, b: usize, via: usize) {
        self.reach(b, Label::Odd, via);
        if self.is_blossom(b) {
            self.push(self.clock + self.dual[b] / 2, Event::Expand(b));
            self.dual[b] += 2 * self.clock;
        }
        for v in self.inside(b) {
            self.dual[v] -= self.clock;
        }
        let mate = self.mate[self.base[b]];
        let partner = self.top[self.to(mate)];
        if self.label[partner] == Label::Free {
            self.make_even(partner, mate);
        }
    }

    /// Looks at the edges of an even node.
    fn scan(&mut self, v: usize) {
        let graph = self.graph;
        for &h in &graph.leaving[graph.first[v]..graph.first[v + 1]] {
            let Some(slack) = self.slack(h) else { continue };
            let w = self.to(h);
            let b = self.top[w];
            if self.label[b] == Label::Even {
                let (here, there) = (self.top[v], b);
                if here != there {
                    // All even nodes have dual variables of the same parity, so that this is a whole number.
                    let time = self.clock + slack / 2;
                    self.push(time, Event::Meet(h));
                    if self.root[here] != self.root[there] {
                        self.horizon = self.horizon.min(time);
                    }
                }
            } else if self.best[w] == NONE || Some(slack) < self.slack(self.best[w]) {
                self.best[w] = h;
                if self.label[b] == Label::Free {
                    self.push(self.clock + slack, Event::Grow(h));
                }
            }
        }
    }

    /// The even blossom two steps closer to the root.
    fn above(&self, b: usize) -> usize {
        match self.via[b] {
            NONE => NONE,
            h => self.top[self.to(self.via[self.top[self.to(h ^ 1)]] ^ 1)],
        }
    }

    /// Where the ways of two even blossoms to their roots join.
    fn common(&mut self, mut x: usize, mut y: usize) -> Option<usize> {
        self.last_mark += 1;
        while x != NONE {
            if self.marks[x] == self.last_mark {
                return Some(x);
            }
            self.marks[x] = self.last_mark;
            x = self.above(x);
            if y != NONE {
                (x, y) = (y, x);
            }
        }
        None
    }

    /// The half-edges through which the blossoms from this one up to an ancestor were reached.
    fn way(&self, mut b: usize, ancestor: usize) -> Vec<usize> {
        let mut way = vec![];
        while b != ancestor {
            way.push(self.via[b]);
            b = self.top[self.to(self.via[b] ^ 1)];
        }
        way
    }

    /// Makes an even blossom of the cycle that a tight edge closes.
    fn shrink(&mut self, h: usize, ancestor: usize) {
        let b = self.spare.pop().expect("disjoint or nested odd sets are fewer than half the nodes");
        let [left, right] = [h ^ 1, h].map(|h| self.way(self.top[self.to(h)], ancestor));
        let (mut parts, mut links) = (std::mem::take(&mut self.parts[b]), std::mem::take(&mut self.links[b]));
        parts.clear();
        links.clear();
        links.extend(left.iter().rev());
        links.push(h);
        links.extend(right.iter().map(|h| h ^ 1));
        parts.extend(links.iter().map(|h| self.top[self.to(h ^ 1)]));
        (self.label[b], self.via[b]) = (Label::Even, self.via[ancestor]);
        (self.root[b], self.base[b]) = (self.root[ancestor], self.base[ancestor]);
        self.dual[b] = -2 * self.clock;
        for &part in &parts {
            let odd = self.label[part] == Label::Odd;
            if self.is_blossom(part) {
                self.dual[part] -= 2 * self.drift(part);
            }
            for v in self.inside(part) {
                self.top[v] = b;
                if odd {
                    self.dual[v] += 2 * self.clock;
                    self.queue.push(v);
                }
            }
            (self.label[part], self.parent[part]) = (Label::Free, b);
        }
        (self.parts[b], self.links[b]) = (parts, links);
    }

    /// The steps from part `i` of a cycle to the base, in the direction in which there are an even number of
    /// them: the half-edges and the parts they lead to.
    fn around(&self, b: usize, i: usize) -> Vec<(usize, usize)> {
        let (parts, links) = (&self.parts[b], &self.links[b]);
        match i % 2 {
            0 => (0..i).rev().map(|i| (links[i] ^ 1, parts[i])).collect(),
            _ => (i..parts.len()).map(|i| (links[i], parts[(i + 1) % parts.len()])).collect(),
        }
    }

    /// Dissolves an odd blossom, and keeps the way through it in the tree.
    fn expand(&mut self, b: usize) {
        self.label[b] = Label::Free;
        self.spare.push(b);
        let parts = std::mem::take(&mut self.parts[b]);
        for &part in &parts {
            self.parent[part] = NONE;
            for v in self.inside(part) {
                self.top[v] = part;
                self.dual[v] += self.clock;
            }
        }
        let entry = self.top[self.to(self.via[b])];
        let position = parts.iter().position(|&part| part == entry).expect("the edge leads inside");
        self.parts[b] = parts;
        let steps = self.around(b, position);
        self.grow(entry, self.via[b]);
        for step in steps.chunks_exact(2) {
            let (h, part) = step[1];
            self.grow(part, h);
        }
        for i in 0..self.parts[b].len() {
            let part = self.parts[b][i];
            if self.label[part] == Label::Free {
                for v in self.inside(part).into_iter().filter(|&v| self.best[v] != NONE).collect::<Vec<_>>() {
                    if let Some(slack) = self.slack(self.best[v]) {
                        self.push(self.clock + slack, Event::Grow(self.best[v]));
                    }
                }
            }
        }
    }

    /// Matches along a tight edge between two trees, and along the ways to their roots.
    fn augment(&mut self, h: usize) {
        self.couple(h);
        for mut h in [h, h ^ 1] {
            loop {
                let v = self.to(h ^ 1);
                let b = self.top[v];
                self.rebase(b, v);
                if self.via[b] == NONE {
                    break;
                }
                let odd = self.top[self.to(self.via[b] ^ 1)];
                h = self.via[odd];
                self.rebase(odd, self.to(h));
                self.couple(h);
            }
        }
    }

    fn couple(&mut self, h: usize) {
        let [from, to] = [h ^ 1, h].map(|h| self.to(h));
        (self.mate[from], self.mate[to]) = (h, h ^ 1);
    }

    /// Matches inside a blossom, so that this node of it is left over.
    fn rebase(&mut self, b: usize, v: usize) {
        let mut todo = vec![(b, v)];
        while let Some((b, v)) = todo.pop() {
            if self.base[b] == v {
                continue;
            }
            let mut part = v;
            while self.parent[part] != b {
                part = self.parent[part];
            }
            todo.push((part, v));
            let position = self.parts[b].iter().position(|&p| p == part).expect("a part knows its parent");
            for step in self.around(b, position).chunks_exact(2) {
                let (h, end) = step[1];
                todo.extend([(step[0].1, self.to(h ^ 1)), (end, self.to(h))]);
                self.couple(h);
            }
            self.parts[b].rotate_left(position);
            self.links[b].rotate_left(position);
            self.base[b] = v;
        }
    }
}
