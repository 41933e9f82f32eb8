-- Notifies accounts, by an item in the inbox of each and an event on its topic, in the caller's statement.
--   accounts  the accounts; those that are suspended, don't want that kind, or have blocked `by` are told nothing
--   kind      a kind in `inbox.kind`
--   title     the title, in a few words
--   text      an excerpt, which is cut after 500 characters
--   link      the path of a page
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
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform inbox.notify_readers(null, notify.accounts, notify.kind, notify.title, notify.text, notify.link, notify.by,
        notify.subject);
end
$$;
