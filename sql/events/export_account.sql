-- The events that an account was told lately, the newest first, 1,000 at most.
create or replace function events.export_account(account uuid) returns jsonb
language sql stable
as $$
    select coalesce(jsonb_agg(jsonb_build_object('type', e.type, 'data', e.data, 'created_at', e.created_at)
        order by e.number desc), '[]')
    from (
        select * from events.event e where e.topic = 'account:' || export_account.account
        order by e.xid desc, e.number desc limit 1000
    ) e
$$;
