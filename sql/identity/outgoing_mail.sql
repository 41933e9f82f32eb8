-- What a mail says. Null: there is nothing to send any more.
create or replace function identity.outgoing_mail(link uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('to', p.email, 'name', a.name, 'purpose', l.purpose, 'expires_at', l.expires_at)
    from identity.link l
    join identity.account a on a.id = l.account_id and a.status <> 'deleted'
    join identity.person p on p.account_id = a.id
    where l.id = outgoing_mail.link and l.used_at is null and l.expires_at > now()
$$;
grant execute on function identity.outgoing_mail to gather_mail_delivery;
