-- Posts a message into the direct channel of an account and a claw that it owns or that is everybody's, and says which turns
-- it has made. One that takes no turns takes no messages here.
create or replace function claws.post_message(account uuid, ref text, message jsonb, manages boolean) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c claws.claw;
    opened jsonb;
    posted jsonb;
begin
    select x.* into c from claws.claw x join identity.account a on a.id = x.id join circles.seat s on s.account_id = x.id
    where (x.id = platform.uuid_of(ref) or a.name = ref) and (x.owner_id = account or s.public or manages);
    if c.id is null then
        return '{"refused": "claw-not-found"}';
    end if;
    if c.desired in ('stopped', 'deleted') or c.status = 'failed' then
        return claws.standing(c) || '{"refused": "claw-state"}';
    end if;
    opened := channels.open_direct(account, array[c.id::text]);
    if opened ? 'refused' then
        return opened;
    end if;
    posted := channels.post_message(account, opened #>> '{ok,channel,id}', message);
    if posted ? 'refused' then
        return posted;
    end if;
    return jsonb_build_object('ok', jsonb_build_object(
        'message', (posted #> '{ok,message}')
            || circles.message_json(account, (posted #>> '{ok,message,id}')::uuid),
        'turns', (select coalesce(jsonb_agg(jsonb_build_object('id', t.id, 'agent', circles.account_json(t.agent_id),
                'status', t.status) order by t.id), '[]')
            from circles.turn t
            where t.channel_id = (opened #>> '{ok,channel,id}')::uuid and (
                t.cause_id = (posted #>> '{ok,message,id}')::uuid
                or t.finished_at is null and t.wanted_seq = (posted #>> '{ok,message,seq}')::bigint))));
end
$$;
grant execute on function claws.post_message(uuid, text, jsonb, boolean) to gather_claws;
