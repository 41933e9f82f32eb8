-- Has a mail sent to an address, unless the same was sent there within the last minute, or five of this kind within the
-- last hour: nobody's mailbox is flooded from here.
--   account   which one it is about; null: the address alone
--   wanted    false: there is nobody to write to, and only the time is spent that a mail takes
create or replace function identity.mail(recipient text, account uuid, purpose text, valid interval, wanted boolean default true)
returns void
language plpgsql
as $$
declare
    link uuid := platform.uuid_v7();
begin
    -- Those who ask for the same address at the same moment take turns.
    perform pg_advisory_xact_lock(hashtextextended('mail ' || recipient, 1));
    if wanted
        and not exists (select from identity.link l
            where l.email = recipient and l.account_id is not distinct from mail.account and l.purpose = mail.purpose
            and l.created_at > now() - interval '1 minute')
        and (select count(*) from identity.link l
            where l.email = recipient and l.purpose = mail.purpose and l.created_at > now() - interval '1 hour') < 5
    then
        insert into identity.link (id, account_id, email, purpose, expires_at)
        values (link, mail.account, recipient, mail.purpose, now() + valid);
    end if;
    -- Also where there is no mail: the time tells nothing.
    perform jobs.enqueue('mail-delivery', jsonb_build_object('link', link));
end
$$;
