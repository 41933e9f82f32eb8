-- The newest 1,000 entries of the trail about what an account did itself.
create or replace function audit.export_account(account uuid) returns jsonb
language sql stable
as $$
    select coalesce(jsonb_agg(to_jsonb(e) order by e.at), '[]') from (
        select e.at, e.action, e.subject, e.allowed, e.address, e.detail from audit.entry e
        where e.actor_id = account order by e.at desc, e.id desc limit 1000) e
$$;
