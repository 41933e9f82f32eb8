-- Gives a claw that the caller holds another status, writes why, and tells. Returns the claw. To the same status: nothing.
create or replace function claws.move(claw uuid, status text, cause text, reason text default null) returns claws.claw
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c claws.claw;
    before text;
begin
    select x.* into c from claws.claw x where x.id = claw;
    if c.status = move.status then
        return c;
    end if;
    before := c.status;
    update claws.claw x set status = move.status, reason = left(move.reason, 1000) where x.id = claw returning x.* into c;
    insert into claws.change (claw_id, from_status, to_status, cause) values (claw, before, move.status, left(move.cause, 1000));
    perform claws.tell(c, 'status');
    return c;
end
$$;
