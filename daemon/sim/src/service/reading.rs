//! Gets, lists and watches.

use std::{sync::Arc, time::Duration};

use http::{Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use serde_json::{Value, json};

use super::Service;
use crate::{
    body::Call,
    counts::Verb,
    faults::Effect,
    kinds::View,
    objects::{self, Place},
    options::{Continuation, ListRequest, Query},
    reply::{Reply, ResponseBody, json_response},
    scale,
    status::Failure,
    store::{Page, Stored},
    watch,
};

/// How long a read waits for a version that is not there yet. Here nobody but a writer who
/// is about to be answered can have seen one.
const FUTURE_VERSION_WAIT: Duration = Duration::from_millis(200);

impl Service {
    pub(super) async fn get(
        &self,
        call: &Call,
        place: &Place,
        name: &str,
        view: View,
    ) -> Result<Reply, Failure> {
        self.counts.add(Verb::Get, false);
        self.wait_for(call.query.least_version()?).await?;
        let object = self.store.get(&place.key(name));
        let object = object.ok_or_else(|| Failure::not_found(&place.resource, name))?;
        Ok(Reply::ok(match view {
            View::Scale => scale::of(&place.resource, &object.object()).into(),
            _ => objects::served(&place.resource, object.object()),
        }))
    }

    pub(super) async fn list(&self, query: &Query, place: &Place) -> Result<String, Failure> {
        let request: ListRequest = query.list(&place.resource)?;
        self.wait_for(request.version).await?;
        let at = match &request.continuation {
            Some(continuation) => Some(continuation.revision),
            None if request.exact => Some(request.version),
            None => None,
        };
        let after = request.continuation.as_ref().map_or("", |continuation| &continuation.after);
        let limit = request.limit.unwrap_or(usize::MAX);
        let fits = |object: &Stored| request.selector.matches(object);
        let page = self.store.list(&place.prefix(), after, at, limit, fits).map_err(|_| {
            Failure::expired(if request.continuation.is_some() {
                "The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter."
            } else {
                "The resourceVersion for the provided list is too old."
            })
        })?;
        Ok(listed(place, &page, request.selector.is_everything()))
    }

    pub(super) fn watch(
        &self,
        query: &Query,
        place: Place,
        end: Option<Effect>,
    ) -> Result<Response<ResponseBody>, Failure> {
        let request = query.watch(&place.resource)?;
        let events = watch::events(Arc::clone(&self.store), &self.faults, place, request, end);
        Ok(json_response(StatusCode::OK, StreamBody::new(events).boxed_unsync()))
    }

    /// Waits for a version that a client has seen elsewhere.
    async fn wait_for(&self, version: u64) -> Result<(), Failure> {
        let mut revisions = self.store.revisions();
        let reached = revisions.wait_for(|revision| *revision >= version);
        match tokio::time::timeout(FUTURE_VERSION_WAIT, reached).await {
            Ok(_) => Ok(()),
            Err(_) => Err(Failure::version_too_large(version, self.store.revision())),
        }
    }
}

/// A page as the API server lists it; whether it is of everything that there is.
pub(super) fn listed(place: &Place, page: &Page, everything: bool) -> String {
    let mut metadata = json!({ "resourceVersion": page.revision.to_string() });
    if let (Value::Object(metadata), true) = (&mut metadata, page.remaining > 0) {
        let next = Continuation { revision: page.revision, after: page.last.clone() };
        metadata.insert("continue".to_owned(), next.token().into());
        // The API server cannot count what a selector will leave either.
        if everything {
            metadata.insert("remainingItemCount".to_owned(), page.remaining.into());
        }
    }
    let resource = &place.resource;
    // Items of built-in kinds do not name their kind again.
    let items: Vec<String> = page
        .objects
        .iter()
        .map(|object| objects::served_json(resource, object, !resource.builtin))
        .collect();
    format!(
        "{{\"kind\":\"{}\",\"apiVersion\":\"{}\",\"metadata\":{metadata},\"items\":[{}]}}",
        resource.list_kind,
        resource.api_version(),
        items.join(",")
    )
}
