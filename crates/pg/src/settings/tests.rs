use proptest::prelude::*;

use super::keyword::KEYWORDS;
use super::{ConnectionSettings, SettingsError, conninfo};

type Resolved = Result<ConnectionSettings, SettingsError>;

fn variables<'a>(list: &'a [(&str, &str)]) -> impl Fn(&str) -> Option<String> + 'a {
    |name| list.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
}

fn resolve(conninfo: &str, list: &[(&str, &str)]) -> Resolved {
    ConnectionSettings::resolve(conninfo, variables(list))
}

#[test]
fn the_connection_string_wins_over_the_environment() {
    let list = [("PGHOST", "elsewhere"), ("PGPORT", "6000"), ("PGUSER", "u"), ("PGDATABASE", "d")];
    let given = resolve("host=here dbname=mine", &list).expect("it parses");
    assert_eq!(given.describe(), "mine on here:6000 as u");
    let uri = resolve("postgres://me@here:7000/other", &list).expect("it parses");
    assert_eq!(uri.describe(), "other on here:7000 as me");
    let bare = resolve("", &list).expect("it parses");
    assert_eq!(bare.describe(), "d on elsewhere:6000 as u");
}

#[test]
fn a_target_takes_from_the_environment_only_what_holds_for_the_process() {
    let list = [
        ("PGHOST", "elsewhere"),
        ("PGPORT", "6000"),
        ("PGUSER", "u"),
        ("PGPASSWORD", "secret"),
        ("PGOPTIONS", "-c geqo=off"),
        ("PGTARGETSESSIONATTRS", "primary"),
        ("PGSSLMODE", "require"),
        ("PGCONNECT_TIMEOUT", "7"),
    ];
    let target = ConnectionSettings::resolve_target("host=h user=me dbname=d", variables(&list)).expect("it parses");
    assert_eq!(target.conninfo(), "host=h port=5432 user=me dbname=d connect_timeout=7 sslmode=require");
}

#[test]
fn the_connection_strings_of_the_sql_engine_are_read() {
    let written = "host=h dbname=d application_name=pgasync/1/2/3 connect_timeout=3 keepalives=1 keepalives_idle=30 \
        keepalives_interval=10 keepalives_count=3 options='-c client_connection_check_interval=5s'";
    assert_eq!(resolve(written, &[("PGUSER", "u")]).expect("it parses").describe(), "d on h:5432 as u");
}

#[test]
fn the_connection_string_survives_a_round_trip() {
    for text in [
        r"host=/tmp port=6000 user=u password='a \'b\' \\' dbname='my db' sslmode=disable",
        "host=a,b,/c hostaddr=1.2.3.4,::1, port=1,2,3 user=u dbname=d options='-c a=b' requirepeer=p \
         connect_timeout=0 target_session_attrs=prefer-standby load_balance_hosts=random channel_binding=require \
         keepalives=0 keepalives_idle=1 keepalives_interval=2 keepalives_count=3 tcp_user_timeout=4 \
         sslmode=verify-ca sslrootcert=/r sslcert=/c sslkey=/k sslcrl=/l sslcrldir=/d \
         sslnegotiation=direct sslsni=0 ssl_min_protocol_version=TLSv1.3",
        "host=a port=1 user=u dbname=d sslmode=verify-full sslrootcert=system sslcertmode=disable \
         ssl_max_protocol_version=TLSv1.2",
    ] {
        assert_eq!(resolve(text, &[]).expect("it parses").conninfo(), text);
    }
}

#[test]
fn an_option_that_cannot_be_honoured_is_refused_by_name() {
    for (conninfo, list, named) in [
        ("host=h", &[("PGSSLMODE", "sometimes")][..], "sslmode=sometimes cannot be used (from PGSSLMODE)"),
        ("host=h", &[("PGPORT", "five")], "port=five cannot be used (from PGPORT)"),
        ("host=h", &[("PGSERVICE", "main"), ("HOME", "/no/such")], "service \"main\""),
        ("host=h", &[("PGREQUIREAUTH", "md5")], "require_auth=md5 is not supported (from PGREQUIREAUTH)"),
        ("sslpassword=secret", &[], "sslpassword is not supported"),
        ("sslcompression=1", &[], "sslcompression=1"),
        ("gssencmode=require", &[], "gssencmode=require"),
        ("krbsrvname=pg", &[], "krbsrvname=pg"),
        ("replication=database", &[], "replication=database"),
        ("client_encoding=LATIN1", &[], "client_encoding=LATIN1"),
        ("require_auth=scram-sha-256", &[], "require_auth=scram-sha-256"),
        ("sslmode=prefer sslnegotiation=direct", &[], "sslnegotiation=direct"),
        ("sslmode=require sslrootcert=system", &[], "sslmode=require"),
        ("sslcertmode=require", &[], "sslcertmode=require"),
        ("ssl_max_protocol_version=TLSv1.1", &[], "ssl_max_protocol_version=TLSv1.1"),
        ("ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2", &[], "ssl_max_protocol_version"),
        ("target_session_attrs=master", &[], "target_session_attrs=master"),
        ("load_balance_hosts=yes", &[], "load_balance_hosts=yes"),
        ("channel_binding=always", &[], "channel_binding=always"),
        ("connect_timeout=soon", &[], "connect_timeout=soon"),
        ("keepalives_idle=1s", &[], "keepalives_idle=1s"),
        ("host=a,b hostaddr=1.2.3.4", &[], "hostaddr=1.2.3.4"),
        ("hots=h", &[], "\"hots\""),
    ] {
        let refused = resolve(conninfo, list).expect_err(conninfo).to_string();
        assert!(refused.contains(named), "{refused}");
        assert!(!refused.contains("secret"), "{refused}");
    }
}

#[test]
fn a_value_without_effect_is_accepted() {
    let text = "gssencmode=prefer krbsrvname=postgres sslcompression=0 replication=off client_encoding=UTF8 \
        require_auth='' max_protocol_version=latest keepalives_idle=-1 connect_timeout=-1 ssl_min_protocol_version=TLSv1";
    resolve(text, &[]).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn no_output_contains_the_password() {
    let settings = resolve("host=h password=s3cret", &[]).expect("it parses");
    assert!(!format!("{settings:?} {}", settings.describe()).contains("s3cret"));
    assert!(settings.conninfo().contains("s3cret"), "it was there");
}

#[test]
fn the_connection_string_wins_over_the_defaults_of_a_long_session() {
    let long = |text: &str| resolve(text, &[]).expect("it parses").for_long().tcp;
    assert_eq!(long("keepalives_idle=60").idle.map(|idle| idle.as_secs()), Some(60));
    assert_eq!(long("keepalives_idle=0").idle, None);
    assert_eq!(long("").idle.map(|idle| idle.as_secs()), Some(10));
    assert!(long("keepalives=0").no_keepalives);
    let options = resolve("options='-c a=1'", &[]).expect("it parses").with_option("-c a=2").options;
    assert_eq!(options.as_deref(), Some("-c a=2 -c a=1"));
}

#[test]
fn a_password_does_not_reach_another_user() {
    let server = resolve("host=h user=a password=s3cret options='-c x=1'", &[]).expect("it parses");
    let other = server.as_user_of("user=b host=elsewhere").expect("it parses").conninfo();
    assert!(other.contains("host=h") && other.contains("user=b") && !other.contains("s3cret"), "{other}");
    let same = server.as_user_of("user=a options='-c x=2'").expect("it parses").conninfo();
    assert!(same.contains("password=s3cret") && same.contains("x=2"), "{same}");
}

#[test]
fn variables_of_the_session_become_options() {
    let settings =
        resolve("options='-c a=b'", &[("PGTZ", "Europe/Rome"), ("PGDATESTYLE", "ISO, DMY"), ("PGGEQO", "default")]);
    let options = settings.expect("it parses").options;
    assert_eq!(options.as_deref(), Some(r"-c a=b -c datestyle=ISO,\ DMY -c timezone=Europe/Rome"));
}

proptest! {
    #[test]
    fn any_value_of_any_option_is_taken_or_refused(
        which in 0..KEYWORDS.len(),
        value in "\\PC*|-?[0-9]{0,12}|[,/@.:a-z0-9]*",
        variable in "\\PC*|[,/@.:a-z0-9]*",
    ) {
        let keyword = &KEYWORDS[which];
        let text = format!("{}={} user=u", keyword.name, conninfo::quote(&value));
        let elsewhere = |name: &str| match name {
            "HOME" | "PGSYSCONFDIR" => Some("/no/such/home".to_owned()),
            _ => (keyword.variable == Some(name)).then(|| variable.clone()),
        };
        let _ = ConnectionSettings::resolve("user=u", elsewhere);
        if let Ok(settings) = ConnectionSettings::resolve(&text, |name| (name == "HOME").then(|| "/no/such/home".to_owned())) {
            let again = ConnectionSettings::resolve(&settings.conninfo(), |_| None).expect("what was written down is read");
            prop_assert_eq!(again.conninfo(), settings.conninfo());
        }
    }
}
