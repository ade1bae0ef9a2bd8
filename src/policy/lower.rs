//! From a CEL tree to a flat predicate over typed columns.

use super::columns::{About, Column, Scope, indexed};
use super::expression::{MAX_DEPTH, Parsed, Refusal, parse};
use super::layout::LayoutBuilder;
use crate::domain::{Day, TargetKind};
use crate::trust::{Comparison, Condition, NumberColumn, Predicate, Step, Test};
use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators};

/// An expression, parted by whom its conditions are about: a merchant's part is evaluated when the merchant changes,
/// an item's when the item does.
#[derive(Debug, Default)]
pub(super) struct Parted {
    /// Of the merchant.
    pub(super) merchant: Predicate,
    /// Of its items, by kind index.
    pub(super) items: [Predicate; TargetKind::COUNT],
}

/// Type-checks an expression about merchants and lowers it.
///
/// # Errors
/// All that is wrong with it.
pub(super) fn lower(text: &str, scope: &Scope, layout: &mut LayoutBuilder) -> Result<Predicate, Vec<Refusal>> {
    // Without items in scope every part is about the merchant.
    lower_parted(text, &Scope { items: false, ..*scope }, layout).map(|parted| parted.merchant)
}

/// Type-checks an expression about merchants and items and lowers it.
///
/// # Errors
/// All that is wrong with it.
pub(super) fn lower_parted(text: &str, scope: &Scope, layout: &mut LayoutBuilder) -> Result<Parted, Vec<Refusal>> {
    if text.trim() == "true" {
        return Ok(Parted::default());
    }
    if text.trim().is_empty() {
        return Err(vec![Refusal::new("", "empty expression", "write `true` for everyone")]);
    }
    let Parsed { tree, comparisons } = parse(text).map_err(|refusal| vec![refusal])?;
    let mut lowering = Lowering {
        scope,
        layout,
        comparisons: comparisons.into_iter(),
        predicate: Predicate::default(),
        about: Vec::new(),
        refusals: vec![],
    };
    let mut parted = Parted::default();
    let mut conjuncts = Vec::new();
    part(&tree, &mut conjuncts, 0);
    for conjunct in conjuncts {
        lowering.combine(conjunct, 0);
        let predicate = std::mem::take(&mut lowering.predicate);
        let about = std::mem::take(&mut lowering.about);
        match about.first() {
            _ if about.iter().any(|other| Some(other) != about.first()) => {
                let written = predicate.conditions.first().map(|c| c.text.clone()).unwrap_or_default();
                lowering.refuse(
                    &written,
                    "one condition about several of merchant, product, room and video",
                    "join them with && only, each in its own parentheses",
                );
            }
            Some(About::Item(kind)) => {
                if let Some(part) = parted.items.get_mut(kind.index()) {
                    part.and(predicate);
                }
            }
            Some(About::Merchant) | None => parted.merchant.and(predicate),
        }
    }
    if lowering.comparisons.next().is_some() {
        lowering.refuse(text, "parentheses inside a comparison", "parentheses group whole comparisons only");
    }
    if lowering.refusals.is_empty() { Ok(parted) } else { Err(lowering.refusals) }
}

/// The parts that `&&` joins at the top of a tree, in order.
fn part<'a>(tree: &'a IdedExpr, parts: &mut Vec<&'a IdedExpr>, depth: usize) {
    if let Expr::Call(call) = &tree.expr
        && call.func_name == operators::LOGICAL_AND
        && depth <= 2 * MAX_DEPTH
    {
        call.args.iter().for_each(|argument| part(argument, parts, depth + 1));
    } else {
        parts.push(tree);
    }
}

struct Lowering<'a, 'b> {
    scope: &'a Scope<'b>,
    layout: &'a mut LayoutBuilder,
    comparisons: std::vec::IntoIter<&'a str>,
    predicate: Predicate,
    about: Vec<About>,
    refusals: Vec<Refusal>,
}

/// One side of a comparison.
enum Operand {
    Column(Column),
    Ratio(NumberColumn, NumberColumn),
    Number(f64),
    Text(String),
    Texts(Vec<String>),
    Flag(bool),
}

impl Operand {
    fn describe(&self) -> &'static str {
        match self {
            Self::Column(Column::Number(_)) => "a number column",
            Self::Column(Column::Date(_)) => "a date column",
            Self::Column(Column::Text { .. }) => "a text column",
            Self::Column(Column::List { .. }) => "a list column",
            Self::Column(Column::Flag(_)) => "a flag",
            Self::Ratio(..) => "a ratio of two columns",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::Texts(_) => "a list of texts",
            Self::Flag(_) => "true or false",
        }
    }
}

/// A test, and whether its outcome is turned round.
type Lowered = (Test, bool);

impl Lowering<'_, '_> {
    fn refuse(&mut self, part: &str, message: impl Into<String>, suggestion: impl Into<String>) {
        self.refusals.push(Refusal::new(part, message, suggestion));
    }

    /// Lowers an expression of comparisons.
    fn combine(&mut self, tree: &IdedExpr, depth: usize) {
        if depth > 2 * MAX_DEPTH {
            return self.refuse("", "expression is nested too deeply", "write it flatter");
        }
        if let Expr::Call(call) = &tree.expr {
            let step = match call.func_name.as_str() {
                operators::LOGICAL_AND => Some(Step::And),
                operators::LOGICAL_OR => Some(Step::Or),
                _ => None,
            };
            if let Some(step) = step {
                for (index, argument) in call.args.iter().enumerate() {
                    self.combine(argument, depth + 1);
                    if index > 0 {
                        self.predicate.steps.push(step);
                    }
                }
                return;
            }
            if call.func_name == operators::LOGICAL_NOT && call.args.len() == 1 {
                call.args.iter().for_each(|argument| self.combine(argument, depth + 1));
                self.predicate.steps.push(Step::Not);
                return;
            }
        }
        self.comparison(&tree.expr);
    }

    /// Lowers one comparison.
    fn comparison(&mut self, expr: &Expr) {
        let Some(written) = self.comparisons.next() else {
            return self.refuse("", "parentheses inside a comparison", "parentheses group whole comparisons only");
        };
        let outcome = if let Expr::Call(call) = expr
            && call.target.is_none()
            && is_comparison(&call.func_name)
        {
            self.call(call)
        } else {
            self.flag(expr)
        };
        match outcome {
            Err(refusal) => {
                let part = if refusal.part.is_empty() { written.to_owned() } else { refusal.part };
                self.refusals.push(Refusal { part, message: format!("`{written}`: {}", refusal.message), ..refusal });
            }
            Ok((test, is_negated)) => {
                // At most 64 comparisons were let through.
                let index = u16::try_from(self.predicate.conditions.len()).unwrap_or(u16::MAX);
                let shown = if is_negated { affirmed(written) } else { written.to_owned() };
                self.predicate.conditions.push(Condition { text: shown, test });
                self.predicate.steps.push(Step::Condition(index));
                if is_negated {
                    self.predicate.steps.push(Step::Not);
                }
            }
        }
    }

    /// A flag that stands alone.
    fn flag(&mut self, expr: &Expr) -> Result<Lowered, Refusal> {
        match self.operand(expr)? {
            Operand::Column(Column::Flag(flag)) => Ok((Test::Flag(flag), false)),
            other @ (Operand::Column(_)
            | Operand::Ratio(..)
            | Operand::Number(_)
            | Operand::Text(_)
            | Operand::Texts(_)
            | Operand::Flag(_)) => Err(Refusal::new(
                "",
                format!("{} where true or false is needed", other.describe()),
                "compare it, e.g. `trust.score >= 60` or `\"x\" in merchant.tags`",
            )),
        }
    }

    fn call(&mut self, call: &CallExpr) -> Result<Lowered, Refusal> {
        let (Some(left), Some(right)) = (call.args.first(), call.args.get(1)) else {
            return Err(Refusal::new("", "a comparison has two sides", "write `column operator constant`"));
        };
        let (left, right) = (self.operand(&left.expr)?, self.operand(&right.expr)?);
        let operator = call.func_name.as_str();
        if operator == operators::IN {
            return member(left, right);
        }
        let comparison = comparison_of(operator);
        match (left, right) {
            (Operand::Ratio(above, below), Operand::Number(number)) => {
                Ok((Test::Ratio(above, below, comparison, number), false))
            }
            (Operand::Number(number), Operand::Ratio(above, below)) => {
                Ok((Test::Ratio(above, below, flipped(comparison), number), false))
            }
            (Operand::Column(column), constant) if !matches!(constant, Operand::Column(_)) => {
                against(column, comparison, constant)
            }
            (constant, Operand::Column(column)) if !matches!(constant, Operand::Column(_)) => {
                against(column, flipped(comparison), constant)
            }
            (Operand::Column(_), Operand::Column(_)) => Err(Refusal::new(
                "",
                "a comparison of two columns",
                "compare a column with a constant, or their ratio: `a / b >= 1.2`",
            )),
            _ => Err(Refusal::new("", "a comparison of two constants", "name a column on one side")),
        }
    }

    fn operand(&mut self, expr: &Expr) -> Result<Operand, Refusal> {
        match expr {
            Expr::Literal(literal) => constant(literal),
            Expr::List(list) => {
                list.elements.iter().map(|e| text_of(&e.expr)).collect::<Result<_, _>>().map(Operand::Texts)
            }
            Expr::Ident(_) | Expr::Select(_) => {
                let path = path_of(expr)?;
                let (column, about) = self.scope.column(&path, self.layout)?;
                self.about.push(about);
                Ok(Operand::Column(column))
            }
            Expr::Call(call) if call.func_name == operators::DIVIDE => self.ratio(call),
            Expr::Call(call) if call.func_name == operators::INDEX => {
                let (Some(operand), Some(key)) = (call.args.first(), call.args.get(1)) else {
                    return Err(Refusal::new("", "an index needs a key", "write `column[\"name\"]`"));
                };
                let (path, key) = (path_of(&operand.expr)?, text_of(&key.expr)?);
                self.about.push(About::Merchant);
                indexed(&path, key).map(Operand::Column)
            }
            Expr::Call(call) if !call.func_name.contains(|c: char| !c.is_ascii_alphanumeric() && c != '_') => {
                Err(Refusal::new("", format!("`{}` is not supported here", call.func_name), ONLY_COMPARISONS))
            }
            Expr::Call(_) | Expr::Unspecified | Expr::Comprehension(_) | Expr::Map(_) | Expr::Struct(_) => {
                Err(Refusal::new("", "this is not a column or a constant", ONLY_COMPARISONS))
            }
        }
    }
}

impl Lowering<'_, '_> {
    fn ratio(&mut self, call: &CallExpr) -> Result<Operand, Refusal> {
        let mut number = |argument: Option<&IdedExpr>| match argument.map(|argument| self.operand(&argument.expr)) {
            Some(Ok(Operand::Column(Column::Number(column)))) => Ok(column),
            Some(Err(refusal)) => Err(refusal),
            Some(Ok(_)) | None => {
                Err(Refusal::new("", "a ratio of something else than two number columns", "write `column / column`"))
            }
        };
        Ok(Operand::Ratio(number(call.args.first())?, number(call.args.get(1))?))
    }
}

/// The text of a comparison whose outcome is turned round by a step of its own, before that: explanations negate it
/// again.
fn affirmed(written: &str) -> String {
    if written.contains("!=") { written.replacen("!=", "==", 1) } else { written.replacen("false", "true", 1) }
}

const ONLY_COMPARISONS: &str = "write comparisons of a column with a constant, joined by &&, || and !";

fn is_comparison(operator: &str) -> bool {
    matches!(
        operator,
        operators::EQUALS
            | operators::NOT_EQUALS
            | operators::LESS
            | operators::LESS_EQUALS
            | operators::GREATER
            | operators::GREATER_EQUALS
            | operators::IN
    )
}

fn comparison_of(operator: &str) -> Comparison {
    match operator {
        operators::NOT_EQUALS => Comparison::NotEqual,
        operators::LESS => Comparison::Less,
        operators::LESS_EQUALS => Comparison::AtMost,
        operators::GREATER => Comparison::Greater,
        operators::GREATER_EQUALS => Comparison::AtLeast,
        _ => Comparison::Equal,
    }
}

/// The comparison with its sides exchanged.
fn flipped(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Less => Comparison::Greater,
        Comparison::AtMost => Comparison::AtLeast,
        Comparison::AtLeast => Comparison::AtMost,
        Comparison::Greater => Comparison::Less,
        same @ (Comparison::Equal | Comparison::NotEqual) => same,
    }
}

/// A column against a constant.
fn against(column: Column, comparison: Comparison, constant: Operand) -> Result<Lowered, Refusal> {
    let equality = || match comparison {
        Comparison::Equal => Ok(false),
        Comparison::NotEqual => Ok(true),
        Comparison::Less | Comparison::AtMost | Comparison::AtLeast | Comparison::Greater => {
            Err(Refusal::new("", "texts and flags have no order", "use == or !="))
        }
    };
    match (column, constant) {
        (Column::Number(column), Operand::Number(number)) => Ok((Test::Number(column, comparison, number), false)),
        (Column::Date(column), Operand::Text(text)) => {
            let day = Day::parse(&text).ok_or_else(|| {
                Refusal::new("", format!("{text:?} is not a date"), "write YYYY-MM-DD, e.g. \"2022-03-23\"")
            })?;
            Ok((Test::Number(column, comparison, f64::from(day.0)), false))
        }
        (Column::Text { column, known }, Operand::Text(text)) => {
            known.check(&text)?;
            Ok((Test::Text(column, vec![text]), equality()?))
        }
        (Column::Flag(flag), Operand::Flag(value)) => Ok((Test::Flag(flag), equality()? == value)),
        (Column::List { .. }, _) => {
            Err(Refusal::new("", "a list is not compared", "ask for an entry: `\"x\" in merchant.tags`"))
        }
        (column, constant) => Err(Refusal::new(
            "",
            format!("{} against {}", Operand::Column(column).describe(), constant.describe()),
            "compare numbers with numbers, texts and dates with texts in quotes, flags with true or false",
        )),
    }
}

/// `text in list column`, or `text column in list of texts`.
fn member(left: Operand, right: Operand) -> Result<Lowered, Refusal> {
    match (left, right) {
        (Operand::Text(text), Operand::Column(Column::List { column, known })) => {
            known.check(&text)?;
            Ok((Test::Member(column, text), false))
        }
        (Operand::Column(Column::Text { column, known }), Operand::Texts(texts)) => {
            texts.iter().try_for_each(|text| known.check(text))?;
            Ok((Test::Text(column, texts), false))
        }
        (left, right) => Err(Refusal::new(
            "",
            format!("{} in {}", left.describe(), right.describe()),
            "write `\"x\" in merchant.tags` or `merchant.region in [\"a\", \"b\"]`",
        )),
    }
}

fn constant(literal: &LiteralValue) -> Result<Operand, Refusal> {
    let number = |number: f64| {
        let fits = number.is_finite() && number.abs() <= 9e15;
        fits.then_some(Operand::Number(number))
            .ok_or_else(|| Refusal::new("", "number is out of range", "numbers go up to 9e15"))
    };
    match literal {
        LiteralValue::Boolean(flag) => Ok(Operand::Flag(*flag.inner())),
        LiteralValue::Double(value) => number(*value.inner()),
        // Whole numbers up to 9e15 are exact in f64, and larger ones are refused; their text reads back as f64.
        LiteralValue::Int(value) => number(value.inner().to_string().parse().unwrap_or(f64::NAN)),
        LiteralValue::UInt(value) => number(value.inner().to_string().parse().unwrap_or(f64::NAN)),
        LiteralValue::String(text) => Ok(Operand::Text(text.inner().to_owned())),
        LiteralValue::Bytes(_) | LiteralValue::Null => {
            Err(Refusal::new("", "bytes and null are not supported", "a value that is not known meets no comparison"))
        }
    }
}

fn text_of(expr: &Expr) -> Result<String, Refusal> {
    if let Expr::Literal(LiteralValue::String(text)) = expr {
        return Ok(text.inner().to_owned());
    }
    Err(Refusal::new("", "a text is needed here", "write it in quotes: \"text\""))
}

/// The names of `a.b.c`.
fn path_of(expr: &Expr) -> Result<Vec<&str>, Refusal> {
    let mut path = Vec::new();
    let mut at = expr;
    while let Expr::Select(select) = at
        && !select.test
    {
        path.push(select.field.as_str());
        at = &select.operand.expr;
    }
    let Expr::Ident(name) = at else {
        return Err(Refusal::new("", "this is not a column", ONLY_COMPARISONS));
    };
    path.push(name.as_str());
    path.reverse();
    Ok(path)
}
