-- Deletes a trigger of an account with its firings. Runs that it has started go on. Answers whether there was one.
create or replace function pipelines.delete_trigger(account uuid, trigger uuid) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    subscription uuid;
begin
    delete from pipelines.trigger t where t.id = delete_trigger.trigger and t.owner_id = account
    returning t.subscription into subscription;
    if not found then
        return false;
    end if;
    perform events.unsubscribe(subscription);
    return true;
end
$$;
grant execute on function pipelines.delete_trigger to gather_pipelines;
