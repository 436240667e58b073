//! What comes of the objects of sessions is compared at once with what they should be, so
//! that nobody has to keep their content: a region has a hundred thousand of them, and a new
//! leader sees all before it looks at the first session.

use streamspace_core::session::{Wish, lifecycle::Replicas};

use super::{
    Term,
    cache::Key,
    compare::{matches, sealed},
    read::{Child, Session},
    tenants::Tenant,
};
use crate::sessions::manifests::{self, Made, SessionKind};

impl Term {
    /// Notes whether an object is as its session wishes, and forgets its content. Of a session
    /// that is not known yet the content is kept until it is looked at.
    pub(super) fn recognise(&self, key: &Key, child: &mut Child) {
        if self.cache.knows(key, child) {
            return;
        }
        let (session, tenant) = (self.cache.session(key), self.tenants.of(&key.namespace));
        let Some((session, tenant)) = session.zip(tenant) else { return };
        if self.is_wished(&tenant, &session, child) {
            child.matched = Some(child.wish);
        }
        child.live = None;
    }

    /// Whether an object is what it was applied for, and that is what its session wishes.
    fn is_wished(&self, tenant: &Tenant, session: &Session, child: &Child) -> bool {
        let uid = session.seen.metadata.uid;
        let text = uid.to_string();
        let place = self.place(tenant, session, &text);
        let (Some(wish), Ok(material)) = (&session.seen.wish, self.material(&place, session))
        else {
            return false;
        };
        let Some(template) = material.template().filter(|_| child.owner == uid) else {
            return false;
        };
        copies(wish, child).iter().any(|replicas| {
            let made = Made { wish, template, allotment: &material.allotment, replicas: *replicas };
            let objects = manifests::objects(&place, &made).unwrap_or_default();
            let own = objects.iter().find(|it| it.kind == child.kind && *it.name == *child.name);
            own.is_some_and(|object| matches(child, &sealed(object)))
        })
    }
}

/// How many copies an object may have been applied for.
fn copies(wish: &Wish, child: &Child) -> Vec<Replicas> {
    let sleeps = child.kind == SessionKind::Deployment && child.replicas == Some(0);
    match wish.max_replicas.filter(|most| *most > 1) {
        _ if sleeps => vec![Replicas::Zero],
        Some(most) => vec![Replicas::AtMost(most), Replicas::One],
        None => vec![Replicas::One],
    }
}
