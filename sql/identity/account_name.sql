-- Names of accounts, for other schemas to show.
create or replace view identity.account_name as
select id, name, kind, status, authenticated_at is not null as has_signed_in from identity.account;
grant select on identity.account_name to gather_skills;
grant select on identity.account_name to gather_channels;
grant select on identity.account_name to gather_accounts;
