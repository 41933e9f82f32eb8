-- Brings a claw into these channels, by their ids or names, and takes it out of all others: into a public one by itself, and
-- into one that the account leads by that. Refuses by the constraint claw_channels.
create or replace function claws.set_channels(claw uuid, by uuid, wanted text[]) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    ref text;
    done jsonb;
    kept uuid[] := '{}';
    other uuid;
begin
    foreach ref in array wanted loop
        done := channels.set_member(by, ref, claw::text, 'member', false);
        if done ? 'refused' then
            done := channels.join_channel(claw, ref);
        end if;
        if done ? 'refused' then
            perform identity.refuse('claw_channels');
        end if;
        kept := kept || coalesce(platform.uuid_of(done #>> '{ok,channel}'), (done #>> '{ok,id}')::uuid);
    end loop;
    for other in
        select b.channel_id from channels.member b join channels.channel h on h.id = b.channel_id
        where b.account_id = claw and h.kind = 'channel' and b.channel_id <> all (kept)
    loop
        perform channels.remove_member(claw, other::text, claw::text, '{}');
    end loop;
end
$$;
