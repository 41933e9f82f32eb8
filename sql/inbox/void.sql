-- Takes an approval back whose question has become meaningless. Returns whether it was still open.
create or replace function inbox.void(approval uuid) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform from inbox.approval a where a.id = void.approval and a.state = 'pending' for update;
    if not found then
        return false;
    end if;
    perform inbox.finish(void.approval, 'void', null);
    return true;
end
$$;
