-- A trigger that is a webhook and that starts runs: its owner is active and its pipeline is not archived. No row: there is
-- none.
create or replace function pipelines.find_webhook(trigger uuid) returns setof pipelines.trigger
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select t.* from pipelines.trigger t
    join pipelines.pipeline p on p.id = t.pipeline_id and p.archived_at is null
    join identity.account a on a.id = t.owner_id and a.status = 'active'
    where t.id = find_webhook.trigger and t.kind = 'webhook' and t.enabled
$$;
grant execute on function pipelines.find_webhook to gather_pipelines;
