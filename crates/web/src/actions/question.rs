//! The page of a question: what will be done, and a form with two ways out.

use maud::{Markup, html};

use crate::access::Visitor;
use crate::pages::{Block, Page, Place, View, document};

pub(super) struct Question<'a> {
    pub(super) title: &'a str,
    pub(super) place: Place,
    /// What will be done.
    pub(super) text: Markup,
    /// Further fields of the form.
    pub(super) fields: Markup,
    /// The route of the form, and the words of its button.
    pub(super) action: &'a str,
    pub(super) button: &'a str,
    pub(super) is_danger: bool,
    /// The page of the other way out.
    pub(super) back: &'a str,
}

impl Question<'_> {
    pub(super) fn page(&self, view: View<'_>, visitor: &Visitor) -> Markup {
        let class = if self.is_danger { "danger" } else { "primary" };
        let body = html! {
            div.ask {
                form.card method="post" action=(view.link(self.action, &[])) {
                    h1 { (self.title) }
                    input type="hidden" name="form_key" value=(visitor.form_key);
                    input type="hidden" name="back" value=(self.back);
                    (self.text)
                    (self.fields)
                    div.buttons {
                        button class=(class) type="submit" { (self.button) }
                        a.button href=(view.link(self.back, &[])) { "Back" }
                    }
                }
            }
        };
        let page = Page { title: self.title.to_owned(), place: self.place, blocks: vec![Block::Still(body)] };
        // A stream would follow a page that only a form leads to.
        document(view, visitor, self.back, &page)
    }
}
