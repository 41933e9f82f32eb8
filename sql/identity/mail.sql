-- Sends a mail to an address, unless the same was sent there within the last minute, or five of this kind within the
-- last hour: nobody's mailbox is flooded from here. An address that nobody has proved may be a stranger's: it gets
-- twenty mails a day, whatever is asked for by whomever.
--   account   the account that it is about; null: the address alone
--   wanted    false if there is nobody to write to, and only the time of a mail is spent
create or replace function identity.mail(recipient text, account uuid, purpose text, valid interval, wanted boolean default true)
returns void
language plpgsql
as $$
declare
    link uuid := platform.uuid_v7();
    hash bytea := sha256(convert_to(mail.recipient, 'UTF8'));
begin
    -- Requests for the same address at the same moment take turns.
    perform pg_advisory_xact_lock(hashtextextended('mail ' || mail.recipient, 1));
    if wanted
        and not exists (select from identity.link l
            where l.email = mail.recipient and l.account_id is not distinct from mail.account and l.purpose = mail.purpose
            and l.created_at > now() - interval '1 minute')
        and (select count(*) from identity.link l
            where l.email = mail.recipient and l.purpose = mail.purpose and l.created_at > now() - interval '1 hour') < 5
        and ((select count(*) from identity.mailed m where m.recipient = hash and m.at > now() - interval '1 day') < 20
            or exists (select from identity.person p where p.email = mail.recipient and p.verified_at is not null))
    then
        insert into identity.mailed (recipient) values (hash);
        insert into identity.link (id, account_id, email, purpose, expires_at)
        values (link, mail.account, mail.recipient, mail.purpose, now() + valid);
    end if;
    -- This also runs without a mail, so that the time reveals nothing.
    perform jobs.enqueue('mail-delivery', jsonb_build_object('link', link));
end
$$;
