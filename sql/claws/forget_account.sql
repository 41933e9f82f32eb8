-- Forgets an account that leaves: a claw, or the claws of an owner, which leave with it.
create or replace function claws.forget_account(account uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c claws.claw;
begin
    for c in select x.* from claws.claw x where x.owner_id = account order by x.id loop
        perform identity.leave(c.id, '{}');
    end loop;
    delete from claws.claw x where x.id = account returning x.* into c;
    if c.id is not null then
        perform jobs.enqueue('claw-provision', jsonb_build_object('remove', c.id, 'generation', c.generation))
        where c.instance is not null;
        perform pipelines.delete_schedule(c.owner_id, s) from unnest(c.schedules) s;
        perform events.emit(array['claw:' || c.id, 'account:' || c.owner_id], 'claw.deleted',
            jsonb_build_object('id', c.id, 'deleted', true), null, c.owner_id);
    end if;
    delete from claws.idempotency_key k where k.owner = account::text;
end
$$;
