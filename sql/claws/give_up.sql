-- A claw that the caller holds has failed, with its last lines; its owner is told. Its program is signed out, and ends.
create or replace function claws.give_up(claw uuid, cause text, last_lines text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c claws.claw := claws.move(claw, 'failed', cause, concat_ws(E'\n', cause, right(last_lines, 800)));
begin
    perform claws.sign_out(claw);
    perform jobs.enqueue('claw-provision',
        jsonb_build_object('claw', c.id, 'generation', c.generation, 'cause', give_up.cause), owner => c.owner_id)
    where c.instance is not null;
    perform inbox.notify(array[c.owner_id], 'claw', (
            select a.name || ' has failed' from identity.account a where a.id = claw),
        c.reason, '/claws/' || claw, claw, 'claw:' || claw);
end
$$;
