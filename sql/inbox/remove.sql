-- Deletes items, with what events kept of them, and tells their accounts that they are gone.
create or replace function inbox.remove(items uuid[]) returns void
language sql
as $$
    select events.erase(variadic array(
        select distinct inbox.event_subject(i) from inbox.item i where i.id = any (items)));
    with gone as (
        delete from inbox.item i where i.id = any (items) returning i.id, i.account_id
    )
    insert into events.event (id, topic, type, data)
    select platform.uuid_v7(), 'account:' || g.account_id, 'inbox.deleted', jsonb_build_object('id', g.id) from gone g
$$;
