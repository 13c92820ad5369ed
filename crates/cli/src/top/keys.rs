//! What the keys do.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::state::{Effect, Field, Filter, Key, Mode, Panel, Paused, Question, Top};

/// The rows of a page.
const PAGE: isize = 10;

/// The most characters of a filter.
const TYPED_MAX: usize = 200;

impl Top {
    pub(super) fn press(&mut self, key: KeyEvent) -> Effect {
        self.message = None;
        match std::mem::replace(&mut self.mode, Mode::Look) {
            Mode::Look => self.look(key.code),
            Mode::Help | Mode::Details => Effect::Nothing,
            Mode::Type(field, typed) => {
                self.type_into(field, typed, key);
                Effect::Nothing
            }
            Mode::Ask(question) => self.answer(question, key.code),
        }
    }

    fn look(&mut self, key: KeyCode) -> Effect {
        match key {
            KeyCode::Char('q' | 'Q') => return Effect::Quit,
            KeyCode::Char('?' | 'h') => self.mode = Mode::Help,
            KeyCode::Char('/') => self.mode = Mode::Type(Field::Text, String::new()),
            KeyCode::Char('t') => self.mode = Mode::Type(Field::Target, String::new()),
            KeyCode::Char('s') => self.next_order(),
            KeyCode::Char(digit @ '1'..='4') => {
                let place = digit.to_digit(10).map_or(0, |digit| digit as usize - 1);
                self.panel = Panel::ALL[place];
            }
            KeyCode::Tab | KeyCode::Right => self.next_panel(1),
            KeyCode::BackTab | KeyCode::Left => self.next_panel(Panel::ALL.len() - 1),
            KeyCode::Down | KeyCode::Char('j') => self.choose(1),
            KeyCode::Up | KeyCode::Char('k') => self.choose(-1),
            KeyCode::PageDown => self.choose(PAGE),
            KeyCode::PageUp => self.choose(-PAGE),
            KeyCode::Home => self.choose(isize::MIN),
            KeyCode::End => self.choose(isize::MAX),
            KeyCode::Enter if self.chosen_line().is_some() => self.mode = Mode::Details,
            KeyCode::Esc => self.filter = Filter::default(),
            KeyCode::Char('c') => self.ask_to_cancel(),
            KeyCode::Char('p') if self.reading.is_some() => self.ask_to_pause(Paused::All),
            KeyCode::Char('P') => match self.chosen_line().map(|line| line.key) {
                Some(Key::Pool(name)) => self.ask_to_pause(Paused::Pool(name)),
                Some(Key::Target(name)) => self.ask_to_pause(Paused::Target(name)),
                _ => self.tell("choose a pool or a target in its panel first".to_owned()),
            },
            _ => {}
        }
        Effect::Nothing
    }

    fn ask_to_cancel(&mut self) {
        match self.chosen_line().map(|line| line.key) {
            Some(Key::Task(task)) => self.mode = Mode::Ask(Question::Cancel(task)),
            _ => self.tell("choose a task in the panel of running tasks first".to_owned()),
        }
    }

    fn ask_to_pause(&mut self, what: Paused) {
        let pauses = !self.is_paused(&what);
        self.mode = Mode::Ask(Question::Pause(what, pauses));
    }

    fn type_into(&mut self, field: Field, mut typed: String, key: KeyEvent) {
        match key.code {
            KeyCode::Esc => return,
            KeyCode::Enter => {
                let wanted = Some(typed.trim().to_owned()).filter(|typed| !typed.is_empty());
                match field {
                    Field::Text => self.filter.text = wanted,
                    Field::Target => self.filter.target = wanted,
                }
                return;
            }
            KeyCode::Backspace => drop(typed.pop()),
            KeyCode::Char(c) if !key.modifiers.contains(KeyModifiers::CONTROL) && typed.chars().count() < TYPED_MAX => {
                typed.push(c);
            }
            _ => {}
        }
        self.mode = Mode::Type(field, typed);
    }

    /// Only y is yes.
    fn answer(&mut self, question: Question, key: KeyCode) -> Effect {
        if !matches!(key, KeyCode::Char('y' | 'Y')) {
            self.tell("nothing was changed".to_owned());
            return Effect::Nothing;
        }
        match question {
            Question::Cancel(task) => Effect::Cancel(task),
            Question::Pause(what, paused) => Effect::Pause(what, paused),
        }
    }
}
