//! The dashboard over HTTP: the access to it, what each page shows, what each action changes. The tests
//! below `browser` look at the same pages with a browser.

mod access;
mod actions;
mod browser;
mod fixture;
mod hostile;
mod html;
mod http;
mod large;
mod live;
mod pages;
mod rights;
mod start;
