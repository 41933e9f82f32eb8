-- The content of a mail. Null if there is nothing to send any more. `name` is null if several accounts claim the
-- address.
create or replace function identity.outgoing_mail(link uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('to', l.email, 'name', a.name, 'purpose', l.purpose, 'expires_at', l.expires_at)
    from identity.link l
    left join identity.account a on a.id = coalesce(l.account_id, identity.holder_of(l.email)) and a.status <> 'deleted'
    where l.id = outgoing_mail.link and l.used_at is null and l.expires_at > now()
    and (a.id is not null or (l.account_id is null and exists (select from identity.claims_of(l.email))))
$$;
grant execute on function identity.outgoing_mail to gather_mail_delivery;
