//! JSON to whoever listens. The receiver knows what comes twice by the header
//! `Idempotency-Key`, and that it comes from us by the token or the signature.

use aws_lc_rs::hmac;
use http::{HeaderName, HeaderValue, Method};
use jiff::Timestamp;
use serde_json::json;

use super::{Task, Told};
use crate::http_client::{Question, secret};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const SIGNATURE: HeaderName = HeaderName::from_static("streamspace-signature");

pub(super) async fn send(task: &Task<'_>) -> Result<Told, Told> {
    let (notice, message) = (task.notice, task.message);
    let body = json!({
        "version": 1,
        "dedup_key": notice.dedup_key,
        "action": notice.action.as_str(),
        "step": notice.step,
        "time": notice.created.to_string(),
        "summary": message.summary,
        "severity": message.severity,
        "source": message.source,
        "details": message.details,
        "link": message.link,
        "status": message.status,
        "silence": message.silence,
    })
    .to_string();
    // A key is printable ASCII, and so is a step.
    let key = format!("{}/{}/{}", notice.dedup_key, notice.action, notice.step);
    let value = |text: &str| {
        HeaderValue::from_str(text).map_err(|_| Told::unfit("its key is no value of a header"))
    };
    let mut headers = vec![(IDEMPOTENCY_KEY, value(key.trim_end_matches('/'))?)];
    if let Some(file) = &task.channel.secret_file {
        let secret = secret(file).map_err(Told::nothing)?;
        let signature = signature(&secret, Timestamp::now().as_second(), &body);
        headers.push((SIGNATURE, value(&signature)?));
    }
    let question = Question { headers, ..Question::json(Method::POST, "", body) };
    task.must(question).await?;
    Ok(Told::done())
}

/// `t=SECONDS,v1=HEX`: the HMAC-SHA-256 of `SECONDS.BODY`. With the time in it an old one is
/// of no use to who overheard it.
fn signature(secret: &str, seconds: i64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{seconds}.{body}").as_bytes());
    let hex: Vec<String> = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={seconds},v1={}", hex.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `printf '1793613600.{}' | openssl dgst -sha256 -hmac word` prints it.
    #[test]
    fn a_signature_is_what_others_compute() {
        assert_eq!(
            signature("word", 1_793_613_600, "{}"),
            "t=1793613600,v1=8e1d73397190174dec7961cca944c6b6205a4fe8fd7f7ade2897681e79c1e50e"
        );
    }
}
