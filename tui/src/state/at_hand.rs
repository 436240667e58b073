//! What the page, or its selected row, is about: what a key acts on.

use streamspace_client::text::escape;

use super::{Page, RegionIndex, State};
use crate::{
    actions::{Kind, Subject},
    rows::{
        Alert, Budget, Certificate, Incident, Key, Operation, Row as _, Scope, Session, Tenant,
        short,
    },
};

impl State {
    /// What can be acted on: what the page, or its selected row, is about.
    pub(crate) fn subject(&self) -> Option<Subject> {
        let of_tenant = |tenant: &Tenant| Subject {
            region: tenant.key().region,
            name: tenant.name(),
            id: tenant.id.clone(),
            kind: Kind::Tenant,
        };
        let of_session = |session: &Session| Subject {
            region: session.key().region,
            name: session.name(),
            id: escape(session.path()).into_owned(),
            kind: Kind::Session,
        };
        let of_certificate = |certificate: &Certificate| Subject {
            region: certificate.key().region,
            name: certificate.whole.name.clone(),
            id: certificate.serial.clone(),
            kind: Kind::Certificate,
        };
        let of_alert = |alert: &Alert| Subject {
            region: alert.key().region,
            name: alert.whole.name.clone(),
            id: escape(short(&alert.whole.name)).into_owned(),
            kind: Kind::Alert,
        };
        let of_incident = |incident: &Incident| Subject {
            region: incident.key().region,
            name: incident.whole.name.clone(),
            id: incident.id.clone(),
            kind: Kind::Incident,
        };
        match &self.page {
            Page::Incidents => self.incidents.selected().map(of_incident),
            Page::Incident(key) => self.incidents.get(key).map(of_incident),
            Page::PostMortem(region, name) => {
                self.incidents.get(&Key::new(*region, "", name)).map(of_incident)
            }
            Page::Tenants => self.tenants.selected().map(of_tenant),
            Page::Tenant(key) => self.tenants.get(key).map(of_tenant),
            Page::Sessions(_) => self.sessions.selected().map(of_session),
            Page::Session(key) => self.sessions.get(key).map(of_session),
            Page::Certificates => self.certificates.selected().map(of_certificate),
            Page::Alerts => self.alerts.selected().map(of_alert),
            Page::Alert(key) => self.alerts.get(key).map(of_alert),
            _ => None,
        }
    }

    /// The resource that the page, or its selected row, is about, by its name.
    pub(crate) fn resource_at_hand(&self) -> Option<(RegionIndex, String)> {
        if let Some(subject) = self.subject() {
            return Some((subject.region, subject.name));
        }
        let of_operation = |row: &Operation| (row.key().region, row.whole.name.clone());
        let of_budget = |row: &Budget| (row.key().region, row.whole.slo.clone());
        match &self.page {
            Page::Slos => self.budgets.selected().map(of_budget),
            Page::Slo(key) => self.budgets.get(key).map(of_budget),
            Page::Operations => self.operations.selected().map(of_operation),
            Page::Operation(key) => self.operations.get(key).map(of_operation),
            // Of several it would be one of them, whichever.
            Page::Overview | Page::Regions if !self.several() => {
                Some((RegionIndex::default(), "regions/-".into()))
            }
            _ => None,
        }
    }

    /// The alert that the page, or its selected row, is about.
    fn alert_at_hand(&self) -> Option<&Alert> {
        match &self.page {
            Page::Alerts => self.alerts.selected(),
            Page::Alert(key) => self.alerts.get(key),
            _ => None,
        }
    }

    /// The page of the open incident that the alert at hand belongs to; of all incidents where
    /// none is.
    pub(crate) fn incidents_at_hand(&self) -> Page {
        let of = |alert: &Alert| {
            let mut incidents = self.incidents.iter().filter(|one| one.is_open());
            incidents.find(|one| {
                one.key().region == alert.key().region
                    && one.whole.alerts.contains(&alert.whole.name)
            })
        };
        let incident = self.alert_at_hand().and_then(of);
        incident.map_or(Page::Incidents, |one| Page::Incident(one.key().clone()))
    }

    /// The page of the budget that the alert at hand is about; of all budgets where it is about
    /// none.
    pub(crate) fn slos_at_hand(&self) -> Page {
        let of = |alert: &Alert| {
            let slo = Some(&alert.whole.subject).filter(|subject| subject.starts_with("slos/"))?;
            Some(Page::Slo(Budget::key_of(alert.key().region, slo, &alert.whole.tenant)))
        };
        self.alert_at_hand().and_then(of).unwrap_or(Page::Slos)
    }

    /// The page of the post-mortem of the incident at hand.
    pub(crate) fn post_mortem_at_hand(&self) -> Option<Page> {
        let incident = self.subject().filter(|subject| subject.kind == Kind::Incident)?;
        Some(Page::PostMortem(incident.region, incident.name))
    }

    /// The tenant that the page, or its selected row, is about.
    pub(crate) fn tenant_at_hand(&self) -> Option<Scope> {
        let of = |tenant: &Tenant| Scope {
            region: tenant.key().region,
            tenant: tenant.id.as_str().into(),
        };
        match &self.page {
            Page::Tenants => self.tenants.selected().map(of),
            Page::Tenant(key) => self.tenants.get(key).map(of),
            Page::Sessions(Some(scope)) | Page::Usage(Some(scope)) => Some(scope.clone()),
            Page::Sessions(None) => self.sessions.selected().map(Session::scope),
            Page::Session(key) => self.sessions.get(key).map(Session::scope),
            Page::Slos => self.budgets.selected().and_then(Budget::scope),
            Page::Slo(key) => self.budgets.get(key).and_then(Budget::scope),
            Page::Alerts => self.alerts.selected().and_then(Alert::scope),
            Page::Alert(key) => self.alerts.get(key).and_then(Alert::scope),
            _ => None,
        }
    }

    /// Where the thing is that the page, or its selected row, is about.
    pub(crate) fn region_at_hand(&self) -> Option<RegionIndex> {
        let of = |key: &Key| key.region;
        match &self.page {
            Page::Tenants => self.tenants.selected().map(|row| of(row.key())),
            Page::Sessions(scope) => {
                let selected = self.sessions.selected().map(|row| of(row.key()));
                selected.or_else(|| scope.as_ref().map(|scope| scope.region))
            }
            Page::Operations => self.operations.selected().map(|row| of(row.key())),
            Page::Certificates => self.certificates.selected().map(|row| of(row.key())),
            Page::Tenant(key)
            | Page::Session(key)
            | Page::Operation(key)
            | Page::Slo(key)
            | Page::Incident(key)
            | Page::Alert(key) => Some(of(key)),
            Page::Incidents => self.incidents.selected().map(|row| of(row.key())),
            Page::Usage(Some(scope)) => Some(scope.region),
            Page::Yaml(region, _) | Page::PostMortem(region, _) => Some(*region),
            Page::Overview
            | Page::Regions
            | Page::Usage(None)
            | Page::Slos
            | Page::Alerts
            | Page::Audit
            | Page::Changes
            | Page::Help => None,
        }
    }
}
