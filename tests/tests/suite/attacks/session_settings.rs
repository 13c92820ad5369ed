//! Settings of a client's session that change how Postgres reads literals and prints values. Functions
//! that check or mask read their own literals at their first execution in a session.

use pgasync_pg::Session;
use pgasync_tests::Database;
use serde_json::json;

use super::role::{Role, code, expect, run};

/// Every setting that any role may change and that changes how a literal is read or a value is printed.
const SETTINGS: [(&str, &str); 9] = [
    ("backslashes", "set standard_conforming_strings = off; set escape_string_warning = off"),
    ("warnings", "set standard_conforming_strings = off; set escape_string_warning = on; set backslash_quote = off"),
    ("quotes", "set standard_conforming_strings = off; set backslash_quote = on"),
    ("arrays", "set array_nulls = off"),
    ("nulls", "set transform_null_equals = on"),
    ("xml", "set xmloption = document; set xmlbinary = hex"),
    ("times", "set datestyle = 'SQL, DMY'; set intervalstyle = sql_standard; set timezone = 'Asia/Kathmandu'"),
    ("more times", "set datestyle = 'German'; set intervalstyle = iso_8601; set timezone_abbreviations = 'India'"),
    ("output", "set bytea_output = escape; set extra_float_digits = -15; set quote_all_identifiers = on"),
];

/// What a session calls before it changes its settings.
const WARM_UP: &str = "select async.mask_connection_string('host=a password=b user=c')";

/// An administrator with a session for each setting, set at the start of the session or after a call.
async fn for_each_setting(database: &Database, check: impl AsyncFn(&str, &Session)) {
    let admin = Role::create(database, "admin").await;
    database.run(&format!("select async.grant_admin('{}')", admin.0)).await;
    for (name, settings) in SETTINGS {
        for warm in [false, true] {
            let session = admin.connect(database).await;
            if warm {
                run(&session, WARM_UP).await;
            }
            run(&session, settings).await;
            check(&format!("{name}, {warm}"), &session).await;
        }
    }
    admin.drop_from(&[database]).await;
}

#[tokio::test]
async fn no_setting_of_a_session_lets_an_administrator_write_a_string_of_the_owner() {
    let database = Database::create().await;
    for_each_setting(&database, async |name, session| {
        for (string, refused) in [
            ("host=evil password=${ENV:PGASYNC_SECRET_X}", Some("PA084")),
            ("host=evil password='${FILE:shop}'", Some("PA084")),
            ("postgresql://u:${FILE:shop}@evil/d", Some("PA084")),
            ("postgresql://u:%24%7BFILE:shop%7D@evil/d", Some("PA060")),
            ("host=evil passfile=/etc/passwd", Some("PA084")),
            (r"host=evil passfile=\/etc/passwd", Some("PA084")),
            ("service=shop", Some("PA084")),
            ("host=/var/run/postgresql", Some("PA084")),
            (r"host=\/var/run/postgresql", Some("PA084")),
            ("dbname=d", Some("PA084")),
            ("postgresql:///d", Some("PA084")),
            ("host=fine options=${ENV:PGASYNC_SECRET_X}", Some("PA060")),
            ("host=fine password=x${ENV:PGASYNC_SECRET_X}", Some("PA060")),
            ("host=fine password=${ENV:PATH}", Some("PA060")),
            ("host=fine password=${FILE:../x}", Some("PA060")),
            ("host=fine password=****", Some("PA060")),
            ("host=fine password", Some("PA060")),
            ("host=fine password=p", None),
            (r"host=fine password='it\'s'", None),
            ("postgresql://u:p@[::1]:5432,fine/d?sslmode=require", None),
        ] {
            let document = json!({ "targets": [{ "target": "there", "connection_string": string }] });
            let configure = format!("select async.configure($${document}$$)");
            expect(&format!("{name}: {string}"), code(session, &configure).await.as_deref(), refused);
        }
        for (string, refused) in [
            ("host=h password=${FILE:a}", Some("PA001")),
            ("host=h passfile=/x", Some("PA084")),
            ("dbname=d", Some("PA084")),
            ("host=h password=p", None),
        ] {
            let server = format!("select async.server($${string}$$)");
            expect(&format!("{name}: {server}"), code(session, &server).await.as_deref(), refused);
        }
    })
    .await;
}

/// What the owner's session answers without any change is what every session answers.
#[tokio::test]
async fn no_setting_of_a_session_changes_what_is_masked_parsed_or_classified() {
    let database = Database::create().await;
    let expected = answers(&database.connect().await).await;
    for (name, settings) in SETTINGS {
        for warm in [false, true] {
            let session = database.connect().await;
            if warm {
                run(&session, WARM_UP).await;
            }
            run(&session, settings).await;
            let found = answers(&session).await;
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!(found, expected, "{name}, {warm}");
            }
        }
    }
}

/// The answers of the functions that read texts with patterns.
async fn answers(session: &Session) -> Vec<String> {
    const FUNCTIONS: [&str; 16] = [
        "async.mask_connection_string($1)",
        "async.mask_text($1)",
        "async.references_secret($1)::text",
        "async.visible_text($1)",
        "async.valid_text($1)",
        "async.routine_call($1)",
        "async.classify_query($1)::text",
        "async.opens_transaction($1)::text",
        "(select jsonb_agg(to_jsonb(s)) from async.scan_statements($1) s)::text",
        "async.cut_text($1)",
        "(select async.interval_pretty(interval '-1 day +02:00:00.5') || $1)",
        "async.describe_error('E', '22000', 'm', $1, $1, $1)",
        // They refuse some of the texts.
        "async.parse_conninfo($1)::text",
        "async.extend_conninfo($1, '{\"application_name\": \"it''s\"}')",
        "async.owner_string_reason($1)",
        "async.check_connection_string($1)::text",
    ];
    let texts = [
        "host=a password=b user=c",
        r"host=a password='it\'s \\ b' user=c\ d",
        "host=h password=s3\\ cret failed",
        "postgresql://u:s3cret@[::1]:5432,b/d?password=x&sslpassword=%41",
        "cannot reach postgresql://u:my s3cret@h/db now",
        "host=a password=${ENV:PGASYNC_SECRET_X}",
        "host=a password=$(ENV:PATH) ${FILE:x}",
        "service=x passfile=\\/y",
        "a\tb\r\nc\u{1b}[2J\u{202e}\u{61c}\\d",
        " \n call  robbery('\\') ;\n",
        r"select '\'; commit and chain; -- x",
        r"select E'\'', $a$ ; $a$, 1.5e3, U&'\0041'; select 2",
        "begin; insert into t values (1) returning *",
    ];
    let mut answers = Vec::new();
    for function in FUNCTIONS {
        for text in texts {
            let answer = match session.query_one(&format!("select {function}"), &[&text]).await {
                Ok(row) => format!("{:?}", row.get::<_, Option<String>>(0)),
                Err(error) => format!("{:?}", error.sqlstate()),
            };
            answers.push(format!("{function} of {text}: {answer}"));
        }
    }
    answers
}
