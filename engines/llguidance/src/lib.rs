//! llguidance for one model's vocabulary, as C functions over linear memory.
//!
//! Pointers given in point to `alloc`ed memory that stays the caller's. What can fail returns 0 (a null pointer) or -1,
//! and says why by `error`. A panic is a trap: the instance is of no use after it.

use llguidance::api::{ParserLimits, StopReason, TopLevelGrammar};
use llguidance::toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie, TokenId, INVALID_TOKEN};
use llguidance::{ParserFactory, TokenParser};
use std::cell::RefCell;
use std::sync::Arc;

thread_local! {
    static ERROR: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

fn fail(message: impl std::fmt::Display) {
    ERROR.with(|error| *error.borrow_mut() = message.to_string().into_bytes());
}

unsafe fn slice<'a, T>(from: *const T, length: usize) -> &'a [T] {
    if length == 0 {
        &[]
    } else {
        std::slice::from_raw_parts(from, length)
    }
}

#[no_mangle]
pub extern "C" fn alloc(bytes: usize) -> *mut u8 {
    let layout = std::alloc::Layout::from_size_align(bytes.max(1), 8).unwrap();
    unsafe { std::alloc::alloc(layout) }
}

/// # Safety
/// `at` comes from `alloc(bytes)`.
#[no_mangle]
pub unsafe extern "C" fn dealloc(at: *mut u8, bytes: usize) {
    std::alloc::dealloc(at, std::alloc::Layout::from_size_align(bytes.max(1), 8).unwrap());
}

/// Where the last failure is written, in UTF-8; valid until the next call.
#[no_mangle]
pub extern "C" fn error() -> *const u8 {
    ERROR.with(|error| error.borrow().as_ptr())
}

#[no_mangle]
pub extern "C" fn error_length() -> usize {
    ERROR.with(|error| error.borrow().len())
}

/// A vocabulary.
///
/// `words`: for each token a u16, the number of its bytes, and then those. A token without bytes is never allowed.
/// `ends` may come where an answer may end.
///
/// # Safety
/// See the module.
#[no_mangle]
pub unsafe extern "C" fn vocabulary(
    words: *const u8,
    bytes: usize,
    ends: *const u32,
    end_count: usize,
) -> *mut ParserFactory {
    let data = slice(words, bytes);
    let mut tokens: Vec<Vec<u8>> = vec![];
    let mut at = 0;
    while at + 2 <= bytes {
        let length = u16::from_le_bytes([data[at], data[at + 1]]) as usize;
        tokens.push(data[at + 2..at + 2 + length].to_vec());
        at += 2 + length;
    }
    let ends = slice(ends, end_count);
    let end = ends.first().copied().unwrap_or(INVALID_TOKEN);
    let mut trie = TokTrie::from(&TokRxInfo::new(tokens.len() as u32, end), &tokens);
    if !ends.is_empty() {
        trie = trie.with_eos_tokens(ends);
    }
    // Not the model's tokenizer: then a mask is all that the grammar allows, and not only what the tokenizer would write.
    let env: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
    match ParserFactory::new_simple(&env) {
        Ok(mut factory) => {
            factory.quiet();
            Box::into_raw(Box::new(factory))
        }
        Err(why) => {
            fail(why);
            std::ptr::null_mut()
        }
    }
}

/// Bounds on what one grammar may cost, from then on; see llguidance's `ParserLimits`.
///
/// # Safety
/// See the module.
#[no_mangle]
pub unsafe extern "C" fn limit(
    factory: *mut ParserFactory,
    items_in_row: usize,
    compile_fuel: u32,
    step_fuel: u32,
    step_items: usize,
    lexer_states: usize,
    grammar_size: usize,
) {
    *(*factory).limits_mut() = ParserLimits {
        max_items_in_row: items_in_row,
        initial_lexer_fuel: compile_fuel.into(),
        step_lexer_fuel: step_fuel.into(),
        step_max_items: step_items,
        max_lexer_states: lexer_states,
        max_grammar_size: grammar_size,
        precompute_large_lexemes: false,
        verbose_errors: false,
    };
}

/// Tokens that share the fuel of one mask.
const TOKENS_A_MASK: usize = 16;

/// Follows one answer.
pub struct Matcher {
    parser: TokenParser,
    /// an end token came: nothing may follow
    ended: bool,
    /// tokens since the last mask, which fills the lexer up with fuel
    tokens: usize,
}

impl Matcher {
    fn at_start(parser: TokenParser) -> *mut Matcher {
        Box::into_raw(Box::new(Matcher { parser, ended: false, tokens: 0 }))
    }
}

/// A grammar at its beginning. `kind`: 0 JSON Schema, 1 Lark, 2 regular expression.
///
/// # Safety
/// See the module; `source` is UTF-8.
#[no_mangle]
pub unsafe extern "C" fn compile(
    factory: *const ParserFactory,
    kind: u32,
    source: *const u8,
    bytes: usize,
) -> *mut Matcher {
    let text = std::str::from_utf8_unchecked(slice(source, bytes));
    let grammar = match kind {
        0 => match serde_json::from_str(text) {
            Ok(schema) => TopLevelGrammar::from_json_schema(schema),
            Err(why) => {
                fail(why);
                return std::ptr::null_mut();
            }
        },
        1 => TopLevelGrammar::from_lark(text.to_string()),
        _ => TopLevelGrammar::from_regex(text),
    };
    match (*factory).create_parser(grammar) {
        Ok(mut parser) => {
            parser.start_without_prompt();
            // Before the first mask a lexer has fuel without end.
            if let Err(why) = parser.compute_mask() {
                if failed(&parser, why) < 0 {
                    return std::ptr::null_mut();
                }
            }
            Matcher::at_start(parser)
        }
        Err(why) => {
            fail(format!("{why:#}"));
            std::ptr::null_mut()
        }
    }
}

/// Another answer under the same grammar, which is at its beginning. They share nothing that one could use up.
///
/// # Safety
/// See the module.
#[no_mangle]
pub unsafe extern "C" fn fork(grammar: *const Matcher) -> *mut Matcher {
    Matcher::at_start((*grammar).parser.deep_clone())
}

/// # Safety
/// `matcher` comes from `compile` or `fork`.
#[no_mangle]
pub unsafe extern "C" fn release(matcher: *mut Matcher) {
    drop(Box::from_raw(matcher));
}

/// What may come next: a bit a token. Returns 1, or 0 where nothing may, or -1.
///
/// # Safety
/// See the module; `out` has `words` words, and what is past the vocabulary stays as it is.
#[no_mangle]
pub unsafe extern "C" fn mask(matcher: *mut Matcher, out: *mut u32, words: usize) -> i32 {
    let matcher = &mut *matcher;
    if matcher.ended {
        return 0;
    }
    matcher.tokens = 0;
    match matcher.parser.compute_mask() {
        Ok(set) => {
            let set = set.as_slice();
            std::ptr::copy_nonoverlapping(set.as_ptr(), out, set.len().min(words));
            1
        }
        Err(why) => failed(&matcher.parser, why),
    }
}

/// The next token. Returns 1, or 0 where the grammar does not allow it, and then nothing changed, or -1.
///
/// # Safety
/// See the module.
#[no_mangle]
pub unsafe extern "C" fn consume(matcher: *mut Matcher, token: TokenId) -> i32 {
    let matcher = &mut *matcher;
    if matcher.ended {
        return 0;
    }
    let parser = &mut matcher.parser;
    if parser.token_env.tok_trie().eos_tokens().contains(&token) {
        matcher.ended = parser.is_accepting();
        return matcher.ended as i32;
    }
    matcher.tokens += 1;
    if matcher.tokens > TOKENS_A_MASK {
        matcher.tokens = 0;
        // Of a long text, when a session goes on elsewhere.
        if let Err(why) = parser.compute_mask() {
            return failed(parser, why);
        }
    }
    match parser.validate_tokens_raw(&[token]) {
        Ok(0) => match parser.error_message() {
            Some(why) => failed(parser, why),
            None => 0,
        },
        Ok(_) => match parser.consume_token(token) {
            Ok(_) => 1,
            Err(why) => failed(parser, why),
        },
        Err(why) => failed(parser, why),
    }
}

/// Takes back the last `tokens` tokens, an end token among them. Returns 1 or -1.
///
/// # Safety
/// See the module.
#[no_mangle]
pub unsafe extern "C" fn rollback(matcher: *mut Matcher, tokens: usize) -> i32 {
    let matcher = &mut *matcher;
    if tokens == 0 {
        return 1;
    }
    let more = tokens - matcher.ended as usize;
    matcher.ended = false;
    // llguidance 1.9 keeps the last mask by the number of bytes that it was made at, whichever they were.
    matcher.parser.invalidate_bias_cache();
    match matcher.parser.rollback(more) {
        Ok(()) => 1,
        Err(why) => {
            fail(format!("{why:#}"));
            -1
        }
    }
}

/// Whether the answer may end here: 1 or 0.
///
/// # Safety
/// See the module.
#[no_mangle]
pub unsafe extern "C" fn accepting(matcher: *mut Matcher) -> i32 {
    let matcher = &mut *matcher;
    (matcher.ended || matcher.parser.is_accepting()) as i32
}

/// The bytes that have to come next, as many as fit into `out`; returns how many there are.
///
/// # Safety
/// See the module; `out` has `most` bytes.
#[no_mangle]
pub unsafe extern "C" fn forced(matcher: *const Matcher, out: *mut u8, most: usize) -> usize {
    let matcher = &*matcher;
    if matcher.ended {
        return 0;
    }
    // Of a copy: what is forced is written into a parser.
    let bytes = matcher.parser.clone().force_bytes();
    std::ptr::copy_nonoverlapping(bytes.as_ptr(), out, bytes.len().min(most));
    bytes.len()
}

/// How many of the tokens that spell all forced bytes are sure: a token at the end of which a longer one could go on
/// with what may follow, is not.
///
/// # Safety
/// See the module.
#[no_mangle]
pub unsafe extern "C" fn sure(matcher: *const Matcher, tokens: *const u32, count: usize) -> usize {
    let mut parser = (*matcher).parser.clone();
    parser.force_bytes();
    let tokens = slice(tokens, count);
    let env = parser.token_env.clone();
    let (chopped, _) = parser
        .parser
        .with_recognizer(|recognizer| env.tok_trie().chop_tokens(recognizer, tokens));
    count - chopped
}

/// What the last mask took: 0 lexer fuel, 1 Earley items.
///
/// # Safety
/// See the module.
#[no_mangle]
pub unsafe extern "C" fn step_cost(matcher: *const Matcher, what: u32) -> u32 {
    let stats = (*matcher).parser.last_step_stats();
    match what {
        0 => stats.lexer_cost as u32,
        _ => stats.all_items as u32,
    }
}

/// What may be said of a grammar although it is taken; see `error`.
///
/// # Safety
/// See the module.
#[no_mangle]
pub unsafe extern "C" fn warnings(grammar: *mut Matcher) -> usize {
    let warnings = (*grammar).parser.grammar_warnings();
    fail(warnings.join("\n"));
    warnings.len()
}

fn failed(parser: &TokenParser, why: impl std::fmt::Display) -> i32 {
    match parser.stop_reason() {
        StopReason::NoExtension | StopReason::NoExtensionBias | StopReason::EndOfSentence => 0,
        _ => {
            fail(format!("{why:#}"));
            -1
        }
    }
}
