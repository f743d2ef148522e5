//! Puts all mutants of a file into it, each behind a question that is asked at run time.
//!
//! The text stays as it is and is only added to, so that comments, macros and lines are where they were. A mutated
//! expression stands beside the original, `(if crate::mutant::is(17) { a - b } else { a + b })`; a function that returns
//! something else begins by doing so; an arm or a guard gets one more condition. Comments mark whose text is whose: by them
//! the compiler's errors find the mutants that are to blame.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::Failure;
use crate::frame::{Lines, Mutant};

/// Why a mutant cannot be planted, by its number.
pub(crate) type Unviable = BTreeMap<u32, String>;

/// The text of a file with `mutants` in it, and those for which there is no way.
pub(crate) fn plant(text: &str, mutants: &[&(u32, Mutant)]) -> Result<(String, Unviable), Failure> {
    let syntax = syn::parse_file(text)?;
    let lines = Lines::of(text);
    let mut finder = Finder::default();
    finder.visit_file(&syntax);
    let mut unviable = Unviable::new();
    let mut edits: BTreeMap<(usize, usize, Site), Vec<Alternative>> = BTreeMap::new();
    for (number, mutant) in mutants {
        let start = lines.offset(mutant.span.start);
        let span = start..lines.offset(mutant.span.end);
        let Some((range, site)) = finder.site(&mutant.genre, &span) else {
            unviable.insert(*number, "no place found for it".into());
            continue;
        };
        if site == Site::Chain {
            unviable.insert(*number, "|| in a chain with let".into());
            continue;
        }
        let patch = (span.clone(), mutant.replacement.clone());
        if site == Site::Expression {
            let mut mutated = text[range.clone()].to_owned();
            mutated.replace_range(span.start - range.start..span.end - range.start, &mutant.replacement);
            if syn::parse_str::<syn::Expr>(&mutated).is_err() {
                unviable.insert(*number, "does not parse".into());
                continue;
            }
        }
        edits.entry((range.start, range.end, site)).or_default().push(Alternative { number: *number, patch });
    }
    let mut edits: Vec<Edit> = edits
        .into_iter()
        .map(|((start, end, site), alternatives)| Edit { range: start..end, site, alternatives })
        .collect();
    // The outer before the inner. A guard may be an expression that is mutated, too.
    edits.sort_by_key(|edit| (edit.range.start, Reverse(edit.range.end), edit.site));
    let planter = Planter { text, edits };
    Ok((planter.render(0..text.len(), None, None), unviable))
}

/// How a mutant is put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Site {
    /// After the brace that begins a function.
    Body,
    /// Around the statements of one that returns some iterator: what it returns instead is of another type.
    Iterator,
    /// Around the guard of an arm.
    Guard,
    /// After the pattern of an arm.
    Pattern,
    /// Beside the original.
    Expression,
    /// An `&&` of a condition that holds a `let`: there is no other operator for it.
    Chain,
}

struct Edit {
    range: Range<usize>,
    site: Site,
    alternatives: Vec<Alternative>,
}

struct Alternative {
    number: u32,
    patch: (Range<usize>, String),
}

struct Planter<'a> {
    text: &'a str,
    edits: Vec<Edit>,
}

impl Planter<'_> {
    /// The text of `range` with what is planted inside, except the edit `without`, and with `patch` made.
    fn render(&self, range: Range<usize>, without: Option<usize>, patch: Option<&(Range<usize>, String)>) -> String {
        let mut out = String::new();
        let mut at = range.start;
        let first = self.edits.partition_point(|edit| edit.range.start < range.start);
        let inside = |edit: &Edit| edit.range.end <= range.end;
        let mut edits = (first..self.edits.len())
            .filter(|&index| {
                // What begins where it begins and is no part of it is the outer one that is being rendered.
                without.is_none_or(|without| index > without) && inside(&self.edits[index])
            })
            .peekable();
        let mut patch = patch;
        loop {
            while edits.next_if(|&index| self.edits[index].range.start < at).is_some() {}
            let next_edit = edits.peek().map(|&index| (self.edits[index].range.start, index));
            match (next_edit, patch) {
                (edit, Some((replaced, by))) if edit.is_none_or(|(start, _)| replaced.start <= start) => {
                    out.push_str(&self.text[at..replaced.start]);
                    out.push_str(by);
                    at = replaced.end;
                    patch = None;
                }
                (Some((start, index)), _) => {
                    edits.next();
                    out.push_str(&self.text[at..start]);
                    out.push_str(&self.edit(index));
                    at = self.edits[index].range.end;
                }
                (None, _) => {
                    out.push_str(&self.text[at..range.end]);
                    return out;
                }
            }
        }
    }

    fn edit(&self, index: usize) -> String {
        let edit = &self.edits[index];
        let original = || self.render(edit.range.clone(), Some(index), None);
        let numbers: Vec<String> = edit.alternatives.iter().map(|alternative| alternative.number.to_string()).collect();
        let mut out = format!("/*[{}*/", numbers.join(","));
        match edit.site {
            Site::Expression => {
                out.push('(');
                for Alternative { number, patch } in &edit.alternatives {
                    let mutated = self.render(edit.range.clone(), Some(index), Some(patch));
                    out.push_str(&format!("if crate::mutant::is({number}) {{ /*<{number}*/{mutated}/*>*/ }} else "));
                }
                out.push_str(&format!("{{ {} }})", original()));
            }
            Site::Body => {
                for Alternative { number, patch } in &edit.alternatives {
                    let value = qualified(&patch.1);
                    out.push_str(&format!("if crate::mutant::is({number}) {{ /*<{number}*/return {value};/*>*/ }} "));
                }
            }
            Site::Iterator => {
                let mut closing = String::new();
                for Alternative { number, patch } in &edit.alternatives {
                    let value = qualified(&patch.1);
                    out.push_str(&format!(
                        "if crate::mutant::is({number}) {{ crate::mutant::Either::Left(/*<{number}*/{value}/*>*/) }} \
                         else {{ crate::mutant::Either::Right({{ "
                    ));
                    closing.push_str(" }) }");
                }
                out.push_str(&original());
                out.push_str(&closing);
            }
            Site::Pattern => {
                for Alternative { number, .. } in &edit.alternatives {
                    out.push_str(&format!(" /*<{number}*/if !crate::mutant::is({number})/*>*/"));
                }
            }
            Site::Guard => {
                let mut guard = format!("({})", original());
                for Alternative { number, patch } in &edit.alternatives {
                    guard = if patch.1 == "true" {
                        format!("(/*<{number}*/crate::mutant::is({number})/*>*/ || {guard})")
                    } else {
                        format!("(/*<{number}*/!crate::mutant::is({number})/*>*/ && {guard})")
                    };
                }
                out.push_str(&guard);
            }
            Site::Chain => unreachable!("there is no way to plant it"),
        }
        out.push_str("/*]*/");
        out
    }
}

/// What `cargo mutants` takes for granted, and the core does without.
const PRELUDE: [(&str, &str); 4] = [
    ("vec!", "::std::vec!"),
    ("Box::", "::std::boxed::Box::"),
    ("String::", "::std::string::String::"),
    ("Vec::", "::std::vec::Vec::"),
];

/// A value with the names of the standard prelude by their paths.
fn qualified(value: &str) -> String {
    let mut out = String::new();
    let mut before = ' ';
    let mut rest = value;
    while let Some(next) = rest.chars().next() {
        for (name, path) in PRELUDE {
            if rest.starts_with(name) && !before.is_alphanumeric() && before != ':' && before != '_' {
                out.push_str(path);
                rest = &rest[name.len()..];
                before = ':';
            }
        }
        if rest.starts_with(next) {
            out.push(next);
            before = next;
            rest = &rest[next.len_utf8()..];
        }
    }
    if out.contains(".to_owned()") { format!("{{ use ::std::borrow::ToOwned as _; {out} }}") } else { out }
}

/// Finds the places where mutants can be.
#[derive(Default)]
struct Finder {
    /// By the range of the statements in them, and whether they return some iterator.
    bodies: Vec<(Range<usize>, Range<usize>, bool)>,
    /// Operators, and the whole expressions that they are in.
    operators: Vec<(Range<usize>, Range<usize>, Site)>,
    /// Arms without a guard: where they begin and where their patterns end.
    arms: Vec<(usize, usize)>,
    guards: Vec<Range<usize>>,
    /// Fields, and the expressions that they are in.
    fields: Vec<(Range<usize>, Range<usize>)>,
    /// The outermost of the operators that is being looked at.
    whole: Option<(Range<usize>, Site)>,
}

impl Finder {
    fn site(&self, genre: &str, span: &Range<usize>) -> Option<(Range<usize>, Site)> {
        match genre {
            "FnValue" => self.bodies.iter().find(|(statements, ..)| statements == span).map(|(_, brace, iterator)| {
                if *iterator { (span.clone(), Site::Iterator) } else { (brace.clone(), Site::Body) }
            }),
            "BinaryOperator" | "UnaryOperator" => self
                .operators
                .iter()
                .find(|(operator, ..)| operator == span)
                .map(|(_, whole, site)| (whole.clone(), *site)),
            "MatchArm" => {
                self.arms.iter().find(|(start, _)| *start == span.start).map(|&(_, end)| (end..end, Site::Pattern))
            }
            "MatchArmGuard" => {
                self.guards.iter().find(|guard| *guard == span).map(|guard| (guard.clone(), Site::Guard))
            }
            "StructField" => self
                .fields
                .iter()
                .find(|(field, _)| field.start == span.start)
                .map(|(_, whole)| (whole.clone(), Site::Expression)),
            _ => None,
        }
    }

    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let (Some(first), Some(last)) = (block.stmts.first(), block.stmts.last()) else { return };
        let statements = first.span().byte_range().start..last.span().byte_range().end;
        let brace = block.brace_token.span.open().byte_range().end;
        let iterator = match &signature.output {
            syn::ReturnType::Type(_, output) => matches!(**output, syn::Type::ImplTrait(_)),
            syn::ReturnType::Default => false,
        };
        self.bodies.push((statements, brace..brace, iterator));
    }
}

/// Whether an operand of a chain is a `let`.
fn holds_let(expression: &syn::Expr) -> bool {
    match expression {
        syn::Expr::Let(_) => true,
        syn::Expr::Binary(binary) => holds_let(&binary.left) || holds_let(&binary.right),
        _ => false,
    }
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_expr(&mut self, expression: &'ast syn::Expr) {
        let outer = self.whole.take();
        if let syn::Expr::Binary(binary) = expression {
            // An operator is replaced in the text: what binds how is found anew in the whole of the chain.
            let here = match outer {
                Some((whole, Site::Expression)) => (whole, Site::Expression),
                Some((whole, Site::Chain)) if matches!(binary.op, syn::BinOp::And(_)) => (whole, Site::Chain),
                _ if holds_let(expression) => (binary.span().byte_range(), Site::Chain),
                _ => (binary.span().byte_range(), Site::Expression),
            };
            self.operators.push((binary.op.span().byte_range(), here.0.clone(), here.1));
            for operand in [&binary.left, &binary.right] {
                self.whole = matches!(**operand, syn::Expr::Binary(_)).then(|| here.clone());
                self.visit_expr(operand);
            }
            self.whole = None;
            return;
        }
        if let syn::Expr::Unary(unary) = expression {
            self.operators.push((unary.op.span().byte_range(), unary.span().byte_range(), Site::Expression));
        }
        visit::visit_expr(self, expression);
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        if let Some((_, guard)) = &arm.guard {
            self.guards.push(guard.span().byte_range());
        } else {
            self.arms.push((arm.span().byte_range().start, arm.pat.span().byte_range().end));
        }
        visit::visit_arm(self, arm);
    }

    fn visit_expr_struct(&mut self, expression: &'ast syn::ExprStruct) {
        for field in &expression.fields {
            self.fields.push((field.span().byte_range(), expression.span().byte_range()));
        }
        visit::visit_expr_struct(self, expression);
    }
}
