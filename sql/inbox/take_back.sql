-- Takes back the items about an object that does not concern their accounts any more, such as a mention that was edited
-- out.
create or replace function inbox.take_back(accounts uuid[], kind text, subject text) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    select inbox.remove(array(
        select i.id from inbox.item i
        where i.account_id = any (take_back.accounts) and i.kind = take_back.kind and i.subject = take_back.subject))
$$;
