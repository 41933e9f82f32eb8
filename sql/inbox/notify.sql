-- Tells accounts something: an item in the inbox of each, in the caller's statement, and an event on its topic.
--   accounts  whom; those that are suspended, don't want that kind, or have blocked `by` are told nothing
--   kind      one of `inbox.kind`
--   title     what happened, in a few words
--   text      an excerpt; what is longer than 500 characters is cut
--   link      a path of this site
--   by        the account that did it, which is not told itself
--   subject   the object whose content `text` shows, such as `message:<id>`. Told once more of the same, an account has
--             one item still, which is new and unread again
create or replace function inbox.notify(
    accounts uuid[],
    kind text,
    title text,
    text text,
    link text,
    by uuid default null,
    subject text default null
) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    select inbox.notify_readers(null, notify.accounts, notify.kind, notify.title, notify.text, notify.link, notify.by,
        notify.subject)
$$;
