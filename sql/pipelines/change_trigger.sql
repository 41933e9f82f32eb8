-- Changes a trigger of an account; what is null stays. Answers whether there is one.
--   condition  the empty text: every event counts from now on
create or replace function pipelines.change_trigger(
    account uuid, trigger uuid, enabled boolean, condition text, input jsonb
) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    update pipelines.trigger t
    set enabled = coalesce(change_trigger.enabled, t.enabled), condition = nullif(coalesce(change_trigger.condition, t.condition), ''),
        input = coalesce(change_trigger.input, t.input)
    where t.id = change_trigger.trigger and t.owner_id = account;
    if not found then
        return false;
    end if;
    perform pipelines.subscribe(trigger);
    return true;
end
$$;
grant execute on function pipelines.change_trigger to gather_pipelines;
