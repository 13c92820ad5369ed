//! Reads SQL closely enough to say what in it Postgres looks up along the search path.

/// Words that stand before a parenthesis and are no functions.
const SYNTAX: &[&str] = &[
    "all",
    "and",
    "any",
    "array",
    "as",
    "by",
    "case",
    "cast",
    "coalesce",
    "conflict",
    "else",
    "elsif",
    "exists",
    "extract",
    "filter",
    "from",
    "greatest",
    "if",
    "into",
    "join",
    "lateral",
    "least",
    "limit",
    "not",
    "on",
    "operator",
    "or",
    "over",
    "perform",
    "query",
    "returning",
    "row",
    "rows",
    "select",
    "set",
    "then",
    "union",
    "using",
    "values",
    "when",
    "where",
    "while",
    "with",
];

/// Types that the grammar knows, which are those of `pg_catalog`, and pseudo-types of plpgsql.
const TYPES: &[&str] =
    &["bigint", "boolean", "float", "int", "integer", "interval", "numeric", "record", "smallint", "timestamp"];

/// Words that make an operator of the search path.
const OPERATOR_WORDS: &[&str] = &["between", "ilike", "in", "like", "nullif", "similar"];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Operator(String),
    Mark(char),
    Text,
}

impl Token {
    fn is_word(&self, word: &str) -> bool {
        matches!(self, Self::Word(found) if found == word)
    }
}

/// The text without comments, and with nothing inside its string literals.
pub(crate) fn without_texts(sql: &str) -> String {
    let mut out = String::new();
    let mut rest = sql;
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("--") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
        } else if c == '\'' {
            let escapes = out.ends_with(['E', 'e']);
            out.push_str("''");
            rest = after_literal(&rest[1..], escapes);
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// What follows a literal of which the first quote is read.
pub(crate) fn after_literal(text: &str, escapes: bool) -> &str {
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        if c == '\\' && escapes {
            chars.next();
        } else if c == '\'' {
            match text[at + 1..].strip_prefix('\'') {
                Some(more) => return after_literal(more, escapes),
                None => return &text[at + 1..],
            }
        }
    }
    ""
}

fn tokens(sql: &str) -> Vec<Token> {
    let text = without_texts(sql).to_lowercase();
    let mut tokens = Vec::new();
    let mut rest = text.as_str();
    while let Some(c) = rest.chars().next() {
        let run = |of: fn(char) -> bool| rest.find(|c| !of(c)).unwrap_or(rest.len());
        let taken = if c.is_whitespace() {
            1
        } else if rest.starts_with("''") {
            tokens.push(Token::Text);
            2
        } else if is_word(c) {
            let end = run(is_word);
            // The E of a literal belongs to it.
            if !rest.starts_with("e''") {
                tokens.push(Token::Word(rest[..end].to_owned()));
            }
            end
        } else if is_operator(c) {
            let end = run(is_operator);
            tokens.push(Token::Operator(rest[..end].to_owned()));
            end
        } else {
            tokens.push(Token::Mark(c));
            c.len_utf8()
        };
        rest = &rest[taken..];
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn is_operator(c: char) -> bool {
    "+-*/<>=~!@#%^&|`?:".contains(c)
}

/// What Postgres would look up along the search path: functions, operators and types without a
/// schema.
pub(crate) fn looked_up(sql: &str) -> Vec<String> {
    let tokens = tokens(sql);
    let at = |index: usize| tokens.get(index);
    let mark = |index: usize, c: char| at(index) == Some(&Token::Mark(c));
    let word = |index: usize, word: &str| at(index).is_some_and(|token| token.is_word(word));
    let mut found = Vec::new();
    let mut index = 0;
    let mut declaring = word(0, "declare");
    while index < tokens.len() {
        let after_dot = index > 0 && mark(index - 1, '.');
        match &tokens[index] {
            // operator(pg_catalog.=)
            Token::Word(name) if name == "operator" && word(index + 2, "pg_catalog") => {
                index += 5;
            }
            Token::Word(name) if name == "begin" => declaring = false,
            Token::Word(name) if name == "is" && word(index + 1, "distinct") => {
                if !word(index + 3, "true") {
                    found.push("is distinct from".to_owned());
                }
                index += 3;
            }
            Token::Word(name) if name == "case" && !word(index + 1, "when") && !mark(index + 1, ';') => {
                found.push("case of a value".to_owned());
            }
            Token::Word(name) if OPERATOR_WORDS.contains(&name.as_str()) && !after_dot => found.push(name.clone()),
            Token::Word(name)
                if mark(index + 1, '(') && !after_dot && !SYNTAX.contains(&name.as_str()) && name != "async" =>
            {
                found.push(format!("{name}()"));
            }
            Token::Word(name)
                if declaring
                    && !after_dot
                    && is_type_of_declaration(&tokens, index)
                    && !mark(index + 1, '.')
                    && !TYPES.contains(&name.as_str()) =>
            {
                found.push(format!("type {name}"));
            }
            Token::Operator(operator) if operator == "::" => {
                if let Some(Token::Word(name)) = at(index + 1)
                    && !mark(index + 2, '.')
                    && !TYPES.contains(&name.as_str())
                {
                    found.push(format!("::{name}"));
                }
            }
            Token::Operator(operator) if is_syntax(operator, &tokens, index) => {}
            Token::Operator(operator) => found.push(operator.clone()),
            Token::Word(_) | Token::Mark(_) | Token::Text => {}
        }
        index += 1;
    }
    found
}

/// Whether a word of a DECLARE section is the type: the second of its line, or the third behind
/// `constant`.
fn is_type_of_declaration(tokens: &[Token], index: usize) -> bool {
    let start = tokens[..index].iter().rposition(|token| matches!(token, Token::Mark(';')) || token.is_word("declare"));
    let words: Vec<&Token> = tokens[start.map_or(0, |start| start + 1)..index].iter().collect();
    match words.as_slice() {
        [Token::Word(_)] => !tokens[index].is_word("constant"),
        [Token::Word(_), constant] => constant.is_word("constant"),
        _ => false,
    }
}

/// Assignments, named arguments, `*` for all columns.
fn is_syntax(operator: &str, tokens: &[Token], index: usize) -> bool {
    let before = |back: usize| index.checked_sub(back).and_then(|at| tokens.get(at));
    match operator {
        ":=" | "=>" => true,
        "*" => match before(1) {
            Some(Token::Mark(mark)) => ['.', '('].contains(mark),
            Some(word) => word.is_word("select") || word.is_word("returning"),
            None => false,
        },
        // A column of UPDATE ... SET.
        "=" => match (before(2), before(1)) {
            (Some(first), Some(Token::Word(_))) => first.is_word("set") || *first == Token::Mark(','),
            _ => false,
        },
        _ => false,
    }
}

/// The tables that a statement names without a schema, or what may be one: variables have a prefix.
pub(crate) fn relations(sql: &str) -> Vec<String> {
    let tokens = tokens(sql);
    let at = |index: usize| tokens.get(index);
    let word = |index: usize, word: &str| at(index).is_some_and(|token| token.is_word(word));
    let mut found = Vec::new();
    for index in 0..tokens.len() {
        let names_one = ["from", "join", "update", "into"].iter().any(|keyword| word(index, keyword));
        // `is distinct from`, `extract(epoch from`, `substring(x from`, `for update`, `do update`.
        let is_other = index > 0
            && (["distinct", "epoch", "for", "do", "key"].iter().any(|before| word(index - 1, before)))
            || word(index, "into") && !(index > 0 && word(index - 1, "insert"));
        let Some(Token::Word(name)) = at(index + 1) else { continue };
        let is_qualified = at(index + 2) == Some(&Token::Mark('.'));
        let is_function = at(index + 2) == Some(&Token::Mark('('));
        let is_query =
            ["select", "lateral", "unnest", "where", "only", "skip", "set", "on", "using"].contains(&name.as_str());
        let is_variable = ["c_", "v_", "in_"].iter().any(|prefix| name.starts_with(prefix));
        // `from rows from (...)`.
        let is_functions = name == "rows" && word(index + 2, "from");
        // `revoke ... from public`.
        let is_role = name == "public";
        if names_one
            && !(is_other || is_qualified || is_function || is_query || is_variable || is_functions || is_role)
            && !is_common(&tokens, name)
        {
            found.push(name.clone());
        }
    }
    found
}

/// Whether the statement names a query so: `with name as (`.
fn is_common(tokens: &[Token], name: &str) -> bool {
    tokens.windows(3).any(|three| three[0].is_word(name) && three[1].is_word("as") && three[2] == Token::Mark('('))
        || tokens.windows(4).any(|four| {
            four[0].is_word(name)
                && four[1].is_word("as")
                && four[2].is_word("materialized")
                && four[3] == Token::Mark('(')
        })
}

mod tests {
    use super::{looked_up, relations, without_texts};

    #[test]
    fn what_is_looked_up_is_found() {
        for (sql, what) in [
            ("select count(*) from async.task", "count()"),
            ("select a = b", "="),
            ("select a.b || 'x'", "||"),
            ("select a in (1)", "in"),
            ("select a like 'x'", "like"),
            ("select a is distinct from b", "is distinct from"),
            ("select nullif(a, b)", "nullif"),
            ("select case a when 1 then 2 end", "case of a value"),
            ("select a::text", "::text"),
            ("declare a text; begin null; end", "type text"),
            ("declare a constant text := 'b'; begin null; end", "type text"),
            ("update async.task set a = b where c = 1", "="),
            ("select a between 1 and 2", "between"),
        ] {
            assert!(looked_up(sql).contains(&what.to_owned()), "{sql}: {:?}", looked_up(sql));
        }
    }

    #[test]
    fn what_is_qualified_is_not() {
        for sql in [
            "select pg_catalog.count(*), t.* from async.task t",
            "select a operator(pg_catalog.=) any (b), 'a = b'::pg_catalog.text",
            "update async.task set a = b, c = d where e is not true -- a = b",
            "declare a async.task; b constant int := 1; begin a := b; end",
            "select coalesce(a, null::interval), case when b then c end, row(1)::async.event_t",
            "select E'it\\'s = ' , 'it''s = '",
            "select E'a', e'b' from async.task",
        ] {
            assert_eq!(looked_up(sql), [""; 0], "{sql}");
        }
    }

    #[test]
    fn tables_without_a_schema_are_found() {
        assert_eq!(relations("insert into task select from other join third on true"), ["task", "other", "third"]);
        assert_eq!(relations("with a as (select 1) select a is distinct from b from a, async.b for update"), [""; 0]);
        assert_eq!(relations("select substring(a from E'b')"), [""; 0]);
        assert_eq!(without_texts("a 'b''c' -- d\ne E'\\'' f"), "a '' \ne E'' f");
    }
}
