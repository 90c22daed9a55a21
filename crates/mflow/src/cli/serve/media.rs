//! Formats of bodies, by the headers that name them.
use super::refusal::Refusal;
use hyper::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE};
use hyper::{HeaderMap, StatusCode};

/// The format of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    Json,
    /// An array in NumPy's format.
    Npy,
}

impl Media {
    /// As the header Content-Type has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Npy => "application/x-npy",
        }
    }

    fn of(name: &str) -> Option<Self> {
        let name = name.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        [Self::Json, Self::Npy].into_iter().find(|media| media.name() == name)
    }

    /// The format of a question.
    pub(super) fn of_question(headers: &HeaderMap) -> Result<Self, Refusal> {
        let unknown = |what: &str, found: &str| {
            let found: String = found.chars().take(100).collect();
            Refusal::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format_args!("{what}, found {found:?}"),
            )
        };
        if let Some(packed) = headers.get(CONTENT_ENCODING) {
            let found = String::from_utf8_lossy(packed.as_bytes());
            return Err(unknown("expected a body without a Content-Encoding", &found));
        }
        let found =
            headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
        let found = found.unwrap_or_default();
        Self::of(&found).ok_or_else(|| {
            unknown(
                "expected the header Content-Type to say application/json or application/x-npy",
                &found,
            )
        })
    }

    /// The format of the answer: the first that the header Accept names, else that of the question.
    pub(super) fn of_answer(headers: &HeaderMap, question: Self) -> Self {
        let accepted =
            headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        accepted.split(',').find_map(Self::of).unwrap_or(question)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(hyper::header::HeaderName, &str)]) -> HeaderMap {
        let pair = |(name, value): &(hyper::header::HeaderName, &str)| {
            Some((name.clone(), value.parse().ok()?))
        };
        all.iter().filter_map(pair).collect()
    }

    #[test]
    fn the_answer_has_the_format_that_is_accepted_or_that_of_the_question() {
        for (accept, expected) in [
            ("application/x-npy", Media::Npy),
            ("text/html, application/X-NPY;q=0.5, application/json", Media::Npy),
            ("*/*", Media::Json),
            ("", Media::Json),
        ] {
            let found = Media::of_answer(&headers(&[(ACCEPT, accept)]), Media::Json);
            assert_eq!(found, expected, "{accept}");
        }
    }

    #[test]
    fn a_question_names_its_format() {
        let of = |value: &str| Media::of_question(&headers(&[(CONTENT_TYPE, value)]));
        assert_eq!(of("application/json; charset=utf-8").ok(), Some(Media::Json));
        assert_eq!(of("application/x-npy").ok(), Some(Media::Npy));
        for wrong in ["", "text/plain", "application/jsonp"] {
            let refusal = of(wrong).expect_err("another format");
            assert_eq!(refusal.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
            assert!(refusal.message.contains(wrong), "{refusal}");
        }
        let packed = headers(&[(CONTENT_TYPE, "application/json"), (CONTENT_ENCODING, "gzip")]);
        let refusal = Media::of_question(&packed).expect_err("it is packed");
        assert!(refusal.message.contains("gzip"), "{refusal}");
    }
}
