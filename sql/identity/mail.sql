-- Has a mail sent to a person, unless they got one of this kind within the last minute, or their address five within
-- the last hour: nobody's mailbox is flooded from here.
create or replace function identity.mail(account uuid, purpose text, valid interval) returns void
language plpgsql
as $$
declare
    link uuid := platform.uuid_v7();
    recipient text := (select p.email from identity.person p where p.account_id = account);
begin
    -- Those who ask for the same address at the same moment take turns.
    perform pg_advisory_xact_lock(hashtextextended('mail ' || recipient, 1));
    if not exists (select from identity.link l
            where l.account_id = account and l.purpose = mail.purpose and l.created_at > now() - interval '1 minute')
        and (select count(*) from identity.person p join identity.link l on l.account_id = p.account_id
            where p.email = recipient and l.purpose = mail.purpose and l.created_at > now() - interval '1 hour') < 5
    then
        insert into identity.link (id, account_id, purpose, expires_at)
        values (link, account, mail.purpose, now() + valid);
    end if;
    -- Also where there is no mail, and for an address that nobody has: the time tells nothing.
    perform jobs.enqueue('mail-delivery', jsonb_build_object('link', link));
end
$$;
