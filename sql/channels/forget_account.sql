-- Takes an account that leaves the platform out of all channels, which go on to others. Its messages stay, under the
-- name that it has from now on, also where events tell of them; direct channels stay for those whom it wrote with.
create or replace function channels.forget_account(account uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    left_channel uuid;
begin
    perform channels.hand_over(account);
    for left_channel in
        select b.channel_id from channels.member b join channels.channel c on c.id = b.channel_id
        where b.account_id = account and c.kind = 'channel' order by b.channel_id
    loop
        perform from channels.channel c where c.id = left_channel for no key update;
        delete from channels.member b where b.channel_id = left_channel and b.account_id = account;
        perform channels.tell_of_member(left_channel, account, 'left', null, null);
        update channels.channel c set archived_at = now(), version = c.version + 1
        where c.id = left_channel and c.archived_at is null
        and not exists (select from channels.member o where o.channel_id = left_channel);
    end loop;
    delete from channels.reaction r where r.account_id = account;
    delete from channels.idempotency_key k where k.owner = account::text;
    perform events.revise(jsonb_build_object('author', channels.account_json(account)), variadic array(
        select 'message:' || m.id from channels.message m
        where m.author_id = account and m.created_at > now() - interval '31 days'
        and m.deleted_at is null and m.hidden_at is null));
end
$$;
