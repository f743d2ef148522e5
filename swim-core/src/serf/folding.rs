//! What the flag `i` costs. For each class that holds more than ASCII, the crate `regex` goes through all of Unicode, a
//! code point at a time, to find the other case of each: some ten milliseconds, and no bound on the size of the result
//! applies before. So they are counted first, in the same syntax tree that it will make.

use regex_syntax::ast::parse::ParserBuilder;
use regex_syntax::ast::{self, Ast, ClassSet, ClassSetItem, Flag, FlagsItemKind, Visitor};

/// How often all of Unicode would be gone through to compile the expression, at most. `None`: it cannot be compiled.
///
/// It is not looked at how far a flag reaches, nor whether it is set or taken back.
pub(super) fn foldings(expression: &str, nesting_max: u32) -> Option<u32> {
    let tree = ParserBuilder::new().octal(true).nest_limit(nesting_max).build().parse(expression).ok()?;
    ast::visit(&tree, Count::default()).ok()
}

#[derive(Default)]
struct Count {
    is_flagged: bool,
    classes: u32,
}

impl Visitor for Count {
    type Output = u32;
    type Err = core::convert::Infallible;

    fn finish(self) -> Result<u32, Self::Err> {
        Ok(if self.is_flagged { self.classes } else { 0 })
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), Self::Err> {
        match ast {
            Ast::Flags(set) => self.see(&set.flags),
            Ast::Group(group) => group.flags().into_iter().for_each(|flags| self.see(flags)),
            Ast::ClassUnicode(_) | Ast::ClassPerl(_) => self.classes += 1,
            Ast::ClassBracketed(class) => self.classes += u32::from(self.is_wide(&class.kind)),
            Ast::Empty(_)
            | Ast::Literal(_)
            | Ast::Dot(_)
            | Ast::Assertion(_)
            | Ast::Repetition(_)
            | Ast::Alternation(_)
            | Ast::Concat(_) => {}
        }
        Ok(())
    }
}

impl Count {
    fn see(&mut self, flags: &ast::Flags) {
        let folds = |kind: &FlagsItemKind| *kind == FlagsItemKind::Flag(Flag::CaseInsensitive);
        self.is_flagged |= flags.items.iter().any(|item| folds(&item.kind));
    }

    /// Whether it holds more than ASCII, before it is negated itself. What is folded within it is counted.
    fn is_wide(&mut self, set: &ClassSet) -> bool {
        match set {
            ClassSet::Item(item) => self.is_wide_item(item),
            // Both sides are folded.
            ClassSet::BinaryOp(operation) => {
                let (left, right) = (self.is_wide(&operation.lhs), self.is_wide(&operation.rhs));
                self.classes += u32::from(left) + u32::from(right);
                left || right
            }
        }
    }

    fn is_wide_item(&mut self, item: &ClassSetItem) -> bool {
        match item {
            ClassSetItem::Empty(_) => false,
            ClassSetItem::Literal(literal) => !literal.c.is_ascii(),
            ClassSetItem::Range(range) => !range.end.c.is_ascii(),
            ClassSetItem::Ascii(class) => class.negated,
            ClassSetItem::Unicode(_) | ClassSetItem::Perl(_) => {
                self.classes += 1;
                true
            }
            ClassSetItem::Bracketed(class) => {
                let is_wide = self.is_wide(&class.kind);
                self.classes += u32::from(is_wide);
                is_wide || class.negated
            }
            ClassSetItem::Union(union) => {
                let mut is_wide = false;
                for item in &union.items {
                    is_wide |= self.is_wide_item(item);
                }
                is_wide
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn classes_are_counted() {
        #[rustfmt::skip]
        let table = [
            ("",                               Some(0)),
            (r"[a\D][^é]\pL[!-\x{10ffff}]",    Some(0)), // nothing to fold
            ("(?i)web|db",                     Some(0)),
            (r"(?i)^[a-z0-9-]+[^0-9][^a]$",    Some(0)), // ASCII, and what is not ASCII
            ("(?i)[[:alpha:]x]",               Some(0)),
            (r"(?P<i>[a\D])",                  Some(0)), // a name
            (r"\(?i[a\D]",                     Some(0)),
            (r"(?i)[a[^0-9]]",                 Some(1)),
            (r"(?s-i:[a[^0-9]])",              Some(1)), // which way round is not looked at
            ("[a[^b]](?i)",                    Some(1)), // nor how far it reaches
            ("(?i)[[:^alpha:]b][a[b[^c]]]",    Some(3)),
            ("(?i)[!-\u{10ffff}][é-ü][é]",     Some(3)),
            (r"(?i)[!-\x{10ffff}][\x41-\x5a]", Some(1)),
            (r"(?i)[\pL\PN]\p{Greek}\D",       Some(5)),
            ("(?i)[a&&b][é&&[^b]--c~~d]",      Some(5)),
            (r"(?x)( ?i)[x\D][#]
                x\W]",                         Some(4)),
            (r"(?i)[[:x\D:]]",                 Some(3)), // no name: another class
            ("(?i)[a",                         None),
            ("(?i",                            None),
        ];
        for (expression, count) in table {
            assert_eq!(foldings(expression, 64), count, "{expression:?}");
        }
        let nested = |depth| format!("(?i){}é{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!((foldings(&nested(63), 64), foldings(&nested(64), 64)), (Some(63), None));
    }
}
