//! Texts to classify, written and generated.

use crate::seed::Seed;

/// The number of characters of a text that SQL reads.
pub(super) const READ_MAX: usize = 32_768;

/// The number of characters that SQL reads at once.
const PIECE: usize = 1_024;

/// Every kind of text that a client may push.
pub(super) const TEXTS: &[&str] = &[
    "",
    " ",
    ";",
    " ; ;; -- nothing\n /* at /* all */ */",
    "/* never closed select 1",
    "select 'never closed",
    "select \"never closed",
    "select $$never closed",
    "select $a$ $$ $b$ never closed",
    "select",
    "select 1",
    "SELECT 1;",
    "/* a */ -- b\n  select 1 /* c */;;",
    "select ';'",
    "select 'it''s; '",
    "select E'\\'; '",
    "select e'\\\\'; select 2",
    "select U&'\\0061;'",
    "select B'101', x'1F', N'n;'",
    "select $$;$$",
    "select $a$ ; $$ ; $a$; select 2",
    "select 1 as \"into;\"",
    "select 1 as \"a\"\"into\"",
    "select 'into', $$into$$ /* into */",
    "select 1 into made",
    "select 1 -- into\n",
    "(select 1) union (select 2)",
    "((values (1)))",
    "values (1), (2)",
    "values (1); values (2)",
    "table t; table t",
    "show work_mem; show work_mem",
    "explain select 1; explain select 2",
    "table t",
    "show work_mem",
    "explain select 1",
    "explain (analyze, verbose) insert into t values (7)",
    "insert into t values (1)",
    "insert into t values (1) returning *",
    "insert into t select 1 from t returning (select 2)",
    "update t set n = n + 1",
    "update t set n = n + 1 where n in (select n from t) returning n",
    "delete from t",
    "delete from t returning 'returning'",
    "delete from t where n = 1 /* returning */",
    "with a as (select 1) select * from a",
    "with a as (insert into t values (3) returning n) select n from a",
    "with a as (select 1 as n) insert into t select n from a",
    "with a as (select 1 as n) insert into t select n from a returning n",
    "with recursive r (n) as (values (1) union all select n + 1 from r where n < 3) delete from t using r",
    "with a as (select 1) select * into made from a",
    "with \"select\" as (select 1) (select * from \"select\")",
    "with a as (select 1), b as (select 2) update t set n = 5 returning n",
    "with a as (select 1) values (2)",
    "with a as (select 1) table a",
    "with a as (select 1 as n) merge into t using a on t.n = a.n when matched then do nothing",
    "merge into t using t as s on t.n = s.n when matched then delete; select 1",
    "explain select 1; delete from t",
    "delete from t; show work_mem",
    "select $1; select 2",
    "select $$$$; select 2",
    "select $$a$$b$c; select 2",
    "select 1; select 2",
    "insert into t values (1); insert into t values (2)",
    "insert into t values (1); select * from t; delete from t returning n",
    "select 1; insert into t values (';'::text::int); select 2",
    "select (select 1 as x); values (1);; table t ;",
    "select array[1, 2][1]; select 3",
    "set work_mem = '5MB'; select 1",
    "create temp table made (n int); insert into made values (1); select * from made",
    "begin; insert into t values (1); commit",
    "insert into t values (1); commit; select 1",
    "select 1; vacuum",
    "vacuum t",
    "create index concurrently on t (n)",
    "do $$ begin perform 1; end $$",
    "do $do$ begin execute 'select 1;'; end $do$; select 1",
    "copy t from stdin",
    "copy t (n) from stdin with (format csv)",
    "copy (select 1; ) to stdout",
    "select 1; copy t to /* the client */ STDOUT",
    "copy t to '/dev/null'",
    "copy t from program 'echo 1'; select 1",
    "select E'a'\n'\\'; select 2 --'",
    "select E'a' -- more\n'\\'' , 2; select 3",
    "select E'a' '\\'; select 2 --'",
    "select E'a'\n'never closed",
    "select E'a''\\''b'\n'c\\''; select 2",
    "select 1into made",
    "select 1.into made",
    "select 1.5e3into made",
    "select 10into made",
    "select 0into made",
    "select 90into made",
    "select 1.0into made",
    "select 1.9into made",
    "select 1e10into made",
    "select 1e9into made",
    "create rule r as on insert to t do also ((select 1); (select 2)); select 3",
    "select ((1); copy t from stdin); select 4",
    "select 1e5, .5, 5., 1.5e-3; select 2",
    "(select 1 into made)",
    "((select 1 into made)) union select 2",
    "(select 1 as into)",
    "with a as (select 1) (select * into made from a)",
    "with a as (insert into t values (3) returning n) (select n from a)",
    "(with a as (insert into t values (3) returning n) select n from a)",
    "(with a as (merge into t using t as s on t.n = s.n when matched then delete) select 1)",
    "select 1 as into",
    "select s.into from (select 1 as into) s",
    "select s . into, 1 into made from (select 1 as into) s",
    "update t set n = s.returning from (select 1 as returning) s",
    "insert into t select 1 as returning",
    "insert into t select 1 as returning returning n",
    "set local transaction read only; select 1",
    "set session transaction read only; select 1",
    "set transaction isolation level serializable; select 1",
    "set session characteristics as transaction read only; select 1",
    "select $😀$ ; $😀$",
    "select $ä$ ; $ä$; select 2",
    "select 1 as 😀into",
    "select 1 as \u{a0}into",
    "select 2 */* ; */ 3",
    "select 2 +-- ;\n 3",
    "select 2 */*/ ; */ 3",
    "select - /* ; */ -- ;\n 3; select 4",
    "create function begin() returns int language sql as 'select 1'; select 2",
    "create function f() returns int begin atomic select 1; select 2 as end; end; select 3",
    "create or replace procedure q() begin atomic select case when true then 1 end; select s.case from (select 1 as case) s; end",
    "create function f(begin int) returns int language sql as 'select 1'; select 2",
];

/// Texts that run in a transaction, with an effect on a table.
pub(super) const EFFECTS: &[&str] = &[
    "select 1",
    "select * from t -- all of it",
    "(select 1) union (select 2);",
    "values (1, 'a'), (2, $$b;'$$)",
    "table t",
    "show work_mem",
    "explain analyze insert into t values (7)",
    "insert into t values (1) returning *",
    "insert into t select n + 1 from t",
    "insert into t values ('4'), (E'5'), ($a$6$a$) returning n, 'it''s;'",
    "update t set n = n + 1 returning n",
    "delete from t where n > 1;;",
    "with a as (insert into t values (30) returning n) select n from a",
    "with a as (select 8 as n) insert into t select n from a",
    "with \"select\" as (delete from t returning n) select * from \"select\"",
    "insert into t values (5);delete from t where n = 1 returning n;update t set n = 7",
    "insert into t values (1); select count(*) from t; delete from t where n = 2 returning n",
    "select 1; insert into t values (';'); select 2",
    "update t set n = 9; table t; insert into t select n from t returning n ; -- done",
    "select 1 / (n - 1) from t",
    "insert into t values (1); select 1 / 0",
    "select * from nowhere",
    "insert into t values (1) returning nothing",
    "select pg_catalog.set_config('a.b', 'c', true); insert into t select length(current_setting('a.b'))",
    "/* one */ insert into /* two */ t values (1) /* three; */ ; select /* four */ 1 -- five;\n",
    "select E'a'\n'\\'; delete from t --'",
    "insert into t select length(E'a'\n'\\'; delete from t --'); select 1",
    "select 1 as into",
    "(select 1 as into)",
    "select s.into from (select 1 as into) s",
    "update t set n = s.returning from (select 7 as returning) s",
    "insert into t select 1 as returning",
    "insert into t select 1 as returning returning n",
    "with a as (insert into t values (3) returning n) (select n from a)",
    "(with a as (select 9 as n) select n from a)",
    "(with a as (insert into t values (3) returning n) select n from a)",
    "select $😀$ ; $😀$; insert into t values (8)",
    "insert into t select 2 */* ; */ 3",
    "insert into t select 2 +-- ;\n 3; table t",
    "insert into t values (1e2), (.5), (5.), (1.5e1)",
];

/// Texts that cannot run inside a function, although they begin like texts that can. They are sent
/// unchanged, and succeed.
pub(super) const ALONE: &[&str] = &[
    "select n into made from t; insert into t select n + 5 from made",
    "(select 1 as n into made); insert into t select n from made",
    "((select 3 as n into made)) union select 4; insert into t select n from made",
    "with a as (select 6 as n) (select * into made from a); insert into t select n from made",
    "select s . into, 1 as n into made from (select 1 as into) s; insert into t select n from made",
    "set local transaction isolation level read committed; select 1",
    "set session transaction isolation level read committed; select 1",
];

/// Scripts that only the core analyzes. SQL sends them unchanged.
pub(super) const SCRIPTS: &[&str] = &[
    "create function begin() returns int language sql as 'select 1'; insert into t select 2; select 3",
    "create function f() returns int begin atomic select 1; select 2 as end; end; insert into t select f(); table t",
    "create function f() returns int begin atomic select case when true then 4 end; end; insert into t select f(); table t",
    "create function f(begin int) returns int language sql as 'select 5'; insert into t select f(1); table t",
    "create table tablespace_ (n int); insert into tablespace_ values (1); insert into t select n + 3 from tablespace_; select 1",
    "truncate t; insert into t values (1) returning n",
    "set local work_mem = '5MB'; insert into t values (1) returning n",
    "set session characteristics as transaction read write; select 1",
];

pub(super) fn texts() -> Vec<String> {
    let mut texts: Vec<String> = TEXTS.iter().map(|text| (*text).to_owned()).collect();
    // One text of the length that SQL reads, and one that is longer.
    for length in [READ_MAX, READ_MAX + 1] {
        texts.push(format!("select 1; select /*{}*/ 2", "x".repeat(length - 23)));
    }
    texts.extend(around_a_piece());
    texts
}

/// Tokens that a shorter text would end, around the position at which SQL ends its first piece.
fn around_a_piece() -> impl Iterator<Item = String> {
    const TOKENS: [&str; 12] = [
        "';' as a",
        "1 as \"a;b\"",
        "$tag$ ; $t$ ; $tag$",
        "$tag$;$tag",
        "E'a\\';'\n  -- more\n  '\\';'",
        "1 /* ; /* ; */ ; */",
        "1 /*/ ; /**/*/",
        "1 --;;;;;;;\n",
        "1 as intoxicated",
        "1.5e-3 as a",
        "1 into made",
        "e''';' as a",
    ];
    (PIECE - 30..PIECE + 4).flat_map(|length| {
        TOKENS.map(|token| format!("select /*{}*/ {token}; select 2", "x".repeat(length - "select /**/ ".len())))
    })
}

/// Texts from pieces that matter to a lexer.
pub(super) fn generated(seed: &mut Seed, many: usize) -> Vec<String> {
    const STATEMENTS: [&str; 32] = [
        "select ~ 1",
        "select ~ 'a;b' ~ as ~ \"c;d\"",
        "select $$;'$$",
        "select $q$ ~ $$ ; $q$ ~",
        "values ~ ( ~ 1 )",
        "table ~ t",
        "insert ~ into ~ t ~ values ~ (1)",
        "insert into t values (1) ~ returning ~ *",
        "delete ~ from ~ t",
        "delete from t ~ returning n",
        "update t set n = 1 ~ where n = 2",
        "with ~ a ~ as ~ (select 1) ~ select * from a",
        "with a as (select 1 as n) ~ insert ~ into t select n from a",
        "with a as (delete from t ~ returning n) ~ select n from a",
        "( ~ select 1 ~ )",
        "select 1 ~ into ~ made",
        "set ~ work_mem = 1000",
        "vacuum ~ t",
        "begin",
        "call ~ p()",
        "select E'\\';' ~",
        "select E'a' ~ '\\'';' ~",
        "select E'a'\n ~ '\\'';' ~ , 1.5e3",
        "select 1 ~ as ~ into",
        "( ~ select 1 ~ into ~ made ~ )",
        "with a as (select 1) ~ ( ~ select * ~ into made from a ~ )",
        "insert into t ~ select 1 as ~ returning ~ returning n",
        "select $😀$ ; $😀$ ~",
        "select 2 ~ * ~ 3. ~ + ~ .5",
        "create function begin ~ () returns int language sql as $$ select 1 $$",
        "create function f() returns int begin ~ atomic ~ select 1; select 2 as ~ end; end",
        "",
    ];
    const BETWEEN: [&str; 12] = [
        " ",
        "\n",
        "\t ",
        " /* c */ ",
        " -- ; '\n",
        "/* /* ; */ $$ */",
        " /* ' */",
        " /*\"*/ ",
        "  ",
        "\r\n",
        " --\r",
        "/**/",
    ];
    (0..many)
        .map(|_| {
            let parts = 1 + seed.below(3);
            let mut text = String::new();
            for part in 0..parts {
                for piece in seed.pick(&STATEMENTS).split('~') {
                    let loud = seed.chance(20) && !piece.contains(['\'', '"', '$']);
                    text.push_str(&if loud { piece.to_uppercase() } else { piece.to_owned() });
                    text.push_str(seed.pick::<&str>(&BETWEEN));
                    if seed.chance(3) {
                        text.push_str(&comment(seed));
                    }
                }
                if part + 1 < parts || seed.chance(30) {
                    text.push(';');
                }
            }
            if seed.chance(15) {
                // A character is removed.
                let cut = text.char_indices().map(|(at, _)| at).nth(usize::try_from(seed.below(30)).expect("small"));
                text.remove(cut.unwrap_or(0));
            }
            text
        })
        .collect()
}

/// A comment, with comments and parts of them inside it, which may be longer than a piece.
fn comment(seed: &mut Seed) -> String {
    let inside: String = (0..seed.below(12)).map(|_| *seed.pick(&["/", "*", "/*", "*/", " ", ";"])).collect();
    let long = if seed.chance(30) { PIECE } else { 0 };
    let opened = format!("/*{inside}{}", "x".repeat(long));
    // As many ends as Postgres needs, which reads the delimiters from the left.
    let (mut depth, mut rest) = (0, opened.as_str());
    while !rest.is_empty() {
        let length = if rest.starts_with("/*") || depth > 0 && rest.starts_with("*/") { 2 } else { 1 };
        depth += match &rest[..length] {
            "/*" => 1,
            "*/" => -1,
            _ => 0,
        };
        rest = &rest[length..];
    }
    let ends = usize::try_from(depth).unwrap_or(0);
    format!("{opened} {}", "*/".repeat(ends))
}
