//! The binary formats of `timestamptz` and `interval`, for the time types of the core. `infinity`
//! is [`Timestamp::NEVER`].

use std::error::Error;

use bytes::{BufMut, BytesMut};
use pgasync_core::{Span, Timestamp};
use pgasync_pg::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

/// Microseconds from the Unix epoch to the epoch of Postgres, 2000-01-01.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

const DAY: i64 = 86_400_000_000;

/// A `timestamptz`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WireTimestamp(pub(crate) Timestamp);

/// An `interval`. A month counts 30 days.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WireInterval(pub(crate) Span);

impl<'a> FromSql<'a> for WireTimestamp {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let micros = i64::from_be_bytes(raw.try_into()?);
        Ok(Self(if micros == i64::MAX {
            Timestamp::NEVER
        } else {
            Timestamp::from_micros(micros.saturating_add(POSTGRES_EPOCH))
        }))
    }

    accepts!(TIMESTAMPTZ);
}

impl ToSql for WireTimestamp {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let micros = self.0.as_micros();
        out.put_i64(if self.0 == Timestamp::NEVER { i64::MAX } else { micros.saturating_sub(POSTGRES_EPOCH) });
        Ok(IsNull::No)
    }

    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for WireInterval {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let (micros, rest) = raw.split_first_chunk().ok_or("an interval has 16 bytes")?;
        let (days, months) = rest.split_first_chunk().ok_or("an interval has 16 bytes")?;
        let days = i64::from(i32::from_be_bytes(*days));
        let months = i64::from(i32::from_be_bytes(months.try_into()?));
        let days = days.saturating_add(months.saturating_mul(30)).saturating_mul(DAY);
        Ok(Self(Span::micros(i64::from_be_bytes(*micros).saturating_add(days))))
    }

    accepts!(INTERVAL);
}

impl ToSql for WireInterval {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_i64(self.0.as_micros());
        out.put_i64(0);
        Ok(IsNull::No)
    }

    accepts!(INTERVAL);
    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_the_wire() {
        for time in [Timestamp::NEVER, Timestamp::from_micros(0), Timestamp::from_micros(1_700_000_000_123_456)] {
            let mut bytes = BytesMut::new();
            WireTimestamp(time).to_sql(&Type::TIMESTAMPTZ, &mut bytes).expect("it is written");
            assert_eq!(WireTimestamp::from_sql(&Type::TIMESTAMPTZ, &bytes).expect("it is read").0, time);
        }
        let mut bytes = BytesMut::new();
        WireInterval(Span::seconds(90)).to_sql(&Type::INTERVAL, &mut bytes).expect("it is written");
        assert_eq!(WireInterval::from_sql(&Type::INTERVAL, &bytes).expect("it is read").0, Span::seconds(90));
    }
}
